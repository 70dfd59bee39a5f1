/** Prints every case as the input of `oracle-zip verdicts`. */
import { MODULE, VERSION, ZIP_CASES } from './cases.ts';

const questions = ZIP_CASES.map(({ name, zip }) => ({ name, module: MODULE, version: VERSION, zip: zip.toString('base64') }));
process.stdout.write(JSON.stringify(questions));
