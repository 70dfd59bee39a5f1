/** Where the calls of the JSON API are, in a file of their own because the server looks at every path and seldom needs what a call is made of. */
export const WARM_PATH = '/api/v1/warm';
