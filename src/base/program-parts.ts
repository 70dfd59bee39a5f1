/**
 * Where the code of another thread or process of this program is: beside the module that starts it, as `.ts` in a clone and as `.js` in the published
 * package, or inside the single executable, which has no files.
 */
export interface Bundle {
  /** The whole code of a thread's entry module. */
  threadCode(name: string): string;
  /** Names of the pages of the documentation. */
  textNames(): readonly string[];
  text(name: string): string;
  /** The argument that makes the executable run the entry of a process. */
  entryArgument(name: string): string;
}

let bundle: Bundle | undefined;

/** Called once, by the executable, before anything else. */
export function useBundle(given: Bundle): void {
  bundle = given;
}

/** `beside` is the `import.meta.url` of the module that starts the thread `name`. */
export function threadUrl(name: string, beside: string): URL {
  if (bundle === undefined) return besideUrl(name, beside);
  return new URL(`data:text/javascript;base64,${Buffer.from(bundle.threadCode(name)).toString('base64')}`);
}

/** What a child of this process is started with: the address of a file, or the executable's own argument. */
export function processEntry(
  name: string,
  beside: string,
): { readonly kind: 'file'; readonly url: URL } | { readonly kind: 'argument'; readonly argument: string } {
  return bundle === undefined ? { kind: 'file', url: besideUrl(name, beside) } : { kind: 'argument', argument: bundle.entryArgument(name) };
}

/** Undefined: this is no single executable, and they are files. */
export function bundledTexts(): readonly string[] | undefined {
  return bundle?.textNames();
}

/** One of {@link bundledTexts}. */
export function bundledText(name: string): string {
  return bundle?.text(name) ?? '';
}

function besideUrl(name: string, beside: string): URL {
  return new URL(`./${name}.${beside.endsWith('.ts') ? 'ts' : 'js'}`, beside);
}
