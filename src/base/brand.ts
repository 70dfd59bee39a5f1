declare const brand: unique symbol;

/** A string that only its own parser can make: `Branded<string, 'ModulePath'>` is a string, but no string is one. */
export type Branded<T, Name extends string> = T & { readonly [brand]: Name };
