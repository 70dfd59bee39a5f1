import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { applyFixes, examine, type Examination } from '../../src/cli/doctor/examine.ts';
import type { Finding } from '../../src/cli/doctor/finding.ts';
import { type SyntheticModule, escaped } from './synthetic-module.ts';
import { startWorld, type SyntheticWorld } from './synthetic-world.ts';

export interface Ran {
  readonly code: number;
  readonly output: string;
}

const goFolder = dirname(execFileSync('sh', ['-c', 'command -v go']).toString().trim());
/** Its own would have the standard library compiled again for every patient. */
export const buildCache: string = execFileSync('go', ['env', 'GOCACHE']).toString().trim();
const never = new AbortController().signal;

/** A developer's machine of its own in a healthy Go world on loopback: an empty HOME, the real go command, settings, and a project that builds. */
export class Patient implements AsyncDisposable {
  readonly world: SyntheticWorld;
  readonly home: string;
  readonly project: string;
  readonly lib: SyntheticModule;
  /** What the patient's shell exports. */
  readonly env: Record<string, string>;

  /** What counts as slow: nothing on a busy test machine, unless a test says so. */
  slowMs: number = 60_000;

  private constructor(world: SyntheticWorld, name: string) {
    this.world = world;
    this.home = join(world.folder, name);
    this.project = join(this.home, 'project');
    this.lib = world.publish('lib.example/m', 'v1.0.0');
    this.env = {
      PATH: `${goFolder}:/usr/local/bin:/usr/bin:/bin`,
      HOME: this.home,
      TMPDIR: join(this.home, 'tmp'),
      LANG: 'C',
      GOCACHE: buildCache,
      GIT_CONFIG_NOSYSTEM: '1',
    };
  }

  static async admit(): Promise<Patient> {
    const patient = new Patient(await startWorld(), 'home');
    patient.world.publish('fresh.example/m', 'v1.0.0');
    await mkdir(join(patient.home, 'tmp'), { recursive: true });
    await patient.set('GOPROXY', patient.world.upstream.url);
    await patient.set('GOSUMDB', patient.goodDatabase);
    await patient.set('GOFLAGS', '-modcacherw');
    await patient.write('go.mod', 'module example.com/app\n\ngo 1.21\n\nrequire lib.example/m v1.0.0\n');
    await patient.write('go.sum', sumOf(patient.lib));
    await patient.write('main.go', 'package main\n\nimport "lib.example/m"\n\nfunc main() { println(m.Version) }\n');
    return patient;
  }

  get goodDatabase(): string {
    return `${this.world.goSumDb} ${this.world.databaseServer.url}`;
  }

  get cache(): string {
    return join(this.home, 'go', 'pkg', 'mod');
  }

  /** `go env -w`, or `-u`. */
  async set(name: string, value: string | undefined): Promise<void> {
    const { code, output } = await this.go(value === undefined ? ['env', '-u', name] : ['env', '-w', `${name}=${value}`], this.home);
    assert.equal(code, 0, output);
  }

  async value(name: string): Promise<string> {
    return (await this.go(['env', name], this.home)).output.trim();
  }

  go(args: readonly string[], cwd: string = this.project, env: Readonly<Record<string, string>> = {}): Promise<Ran> {
    const options = { env: { ...this.env, ...env }, cwd, timeout: 120_000 };
    return new Promise((resolve) => {
      const child = execFile('go', [...args], options, (_error, stdout, stderr) =>
        resolve({ code: child.exitCode ?? -1, output: stdout + stderr }),
      );
    });
  }

  /** Below the project. */
  async write(file: string, text: string): Promise<void> {
    const path = join(this.project, file);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }

  read(file: string): Promise<string> {
    return readFile(join(this.project, file), 'utf8');
  }

  /** Adds a line to a file of the home folder. */
  async appendHome(file: string, line: string): Promise<void> {
    await mkdir(dirname(join(this.home, file)), { recursive: true });
    await appendFile(join(this.home, file), `${line}\n`);
  }

  /** Fills the module cache. */
  async download(): Promise<void> {
    const { code, output } = await this.go(['mod', 'download', 'all']);
    assert.equal(code, 0, output);
  }

  examine(folder: string = this.project): Promise<Examination> {
    return examine({ env: this.env, folder, slowMs: this.slowMs, signal: never });
  }

  async findings(): Promise<readonly Finding[]> {
    return (await this.examine()).findings;
  }

  /** The doctor finds exactly this, and shows why. */
  async suffersFrom(...ids: readonly string[]): Promise<readonly Finding[]> {
    const findings = await this.findings();
    assert.deepEqual(
      findings.map(({ id }) => id),
      ids,
      JSON.stringify(findings, undefined, 1),
    );
    for (const { proof, fix, id } of findings) {
      assert.ok(proof.length > 0 && proof.every(({ ran }) => ran !== ''), `${id} has no proof`);
      assert.ok(fix.lines.length > 0, `${id} says nothing to do`);
      if (fix.apply !== undefined) assert.ok(fix.undo.length > 0, `${id} cannot be undone`);
    }
    return findings;
  }

  /** Applies every fix that there is; at least one. */
  async mend(findings: readonly Finding[]): Promise<void> {
    const applied = await applyFixes(findings, never);
    assert.ok(applied.length > 0, 'nothing was mended');
    for (const { failure } of applied) assert.equal(failure, undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]();
  }
}

/** Its two lines in go.sum. */
export function sumOf({ path, version, zipHash, modHash }: SyntheticModule): string {
  return `${path} ${version} ${zipHash}\n${path} ${version}/go.mod ${modHash}\n`;
}

/** Its files in a module cache, without extension. */
export function cachedFiles(cache: string, { path, version }: { readonly path: string; readonly version: string }): string {
  return join(cache, 'cache', 'download', escaped(path), '@v', escaped(version));
}
