import { type EntryRecipe, writeZip } from '../oracle-zip/zip-writer.ts';
import { hashGoMod } from '../../src/protocol/dirhash.ts';
import { type SyntheticModule, carelessHash, noise } from './synthetic-module.ts';
import { type SyntheticWorld, serveModule } from './synthetic-world.ts';

export interface ToolchainRecipe {
  /** `linux-amd64` when left out. */
  readonly platform?: string;
  /** Below the root, beside those that every toolchain has. */
  readonly files?: Readonly<Record<string, string | Buffer>>;
  /** Bytes that do not compress, in a file of their own. */
  readonly fillBytes?: number;
}

/** A version of golang.org/toolchain whose go command is a script that says which it is. Built like the real ones: without a go.mod at the root. */
export function makeToolchain(release: string, { platform = 'linux-amd64', files = {}, fillBytes }: ToolchainRecipe = {}): SyntheticModule {
  const version = `v0.0.1-${release}.${platform}`;
  const prefix = `golang.org/toolchain@${version}/`;
  const suffix = platform.startsWith('windows') ? '.exe' : '';
  const contents: Readonly<Record<string, string | Buffer>> = {
    VERSION: `${release}\ntime 2026-08-28T16:20:06Z\n`,
    [`bin/go${suffix}`]: `#!/bin/sh\necho "go version ${release} ${platform.replace('-', '/')}"\necho "toolchain=$GOTOOLCHAIN goroot=$GOROOT args=$*"\n`,
    [`bin/gofmt${suffix}`]: '#!/bin/sh\n',
    'lib/wasm/go_js_wasm_exec': '#!/bin/sh\n',
    [`pkg/tool/${platform.replace('-', '_')}/compile`]: noise(version, 20_000),
    'src/_go.mod': 'module std\n',
    'src/cmd/_go.mod': 'module cmd\n',
    'src/empty.go': '',
    [`src/cmd/${'long'.repeat(12)}/${'name'.repeat(12)}.go`]: 'package long\n',
    ...files,
    ...(fillBytes !== undefined && { 'lib/fill.bin': noise(`${version} fill`, fillBytes) }),
  };
  const entries: EntryRecipe[] = Object.entries(contents).map(([name, content]) => ({ name: prefix + name, content }));
  const goMod = 'module golang.org/toolchain\n';
  return {
    path: 'golang.org/toolchain',
    version,
    info: JSON.stringify({ Version: version, Time: '2026-08-28T16:20:06Z' }),
    goMod,
    zip: writeZip({ entries }),
    zipHash: carelessHash(entries),
    modHash: hashGoMod(Buffer.from(goMod)),
  };
}

/** Records it in the world's database and puts it on its upstream, list included. */
export function publishToolchain(world: SyntheticWorld, release: string, recipe: ToolchainRecipe = {}): SyntheticModule {
  const made = makeToolchain(release, recipe);
  world.database.add(made.path, made.version, made);
  serveModule(world.upstream, made);
  return made;
}
