import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { COSIGNATURE, generateSignerKey, parseSignerKey, signNote, verifyNote } from '../protocol/note.ts';
import { createKeyFile, readKeyFile } from './key-file.ts';
import { isInside } from './private-folder.ts';

const name = 'goyi.example/sumdb';

// With arguments this file is a process that makes a key for each line it reads, and says what came of it.
const [, , mode, root = ''] = process.argv;

async function makeOnDemand(): Promise<void> {
  process.stdout.write('ready\n');
  for await (const line of createInterface(process.stdin)) {
    const made = await createKeyFile({ file: join(root, 'keys', line), name });
    process.stdout.write(`${made?.verifier.text ?? 'exists'}\n`);
  }
}

function defineTests(): void {
  const place = mkdtemp(join(tmpdir(), 'goyi-key-file-'));
  after(async () => rm(await place, { recursive: true, force: true }));
  let serial = 0;
  const freshFile = async (): Promise<string> => join(await place, `${(serial += 1)}-keys`, 'log.key');
  const modeOf = async (path: string): Promise<string> => ((await stat(path)).mode & 0o7777).toString(8);

  test('a key is made once, for its owner alone, and reads back', async () => {
    const file = await freshFile();
    assert.equal(await readKeyFile({ file, name }), undefined, 'to look makes nothing');
    await assert.rejects(stat(dirname(file)), { code: 'ENOENT' });
    const made = await createKeyFile({ file, name });
    assert.ok(made);
    assert.deepEqual([await modeOf(file), await modeOf(dirname(file))], ['600', '700']);
    assert.deepEqual(await readdir(dirname(file)), ['log.key'], 'no draft is left');
    const read = await readKeyFile({ file, name });
    assert.equal(read?.verifier.text, made.verifier.text);
    const text = 'go.sum database tree\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n';
    assert.equal(verifyNote(signNote(text, read), made.verifier).ok, true);
    const line = await readFile(file, 'latin1');
    assert.match(line, /^PRIVATE\+KEY\+goyi\.example\/sumdb\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}\n$/);
    assert.equal(parseSignerKey(line.trim()).ok, true);
  });

  test('a file that is there is never replaced, whatever is in it', async () => {
    const file = await freshFile();
    await mkdir(dirname(file), { mode: 0o700 });
    await writeFile(file, 'a treasure\n', { mode: 0o600 });
    assert.equal(await createKeyFile({ file, name }), undefined);
    assert.equal(await readFile(file, 'latin1'), 'a treasure\n');
    assert.deepEqual(await readdir(dirname(file)), ['log.key']);
    const dangling = join(dirname(file), 'other.key');
    await symlink('nowhere', dangling);
    assert.equal(await createKeyFile({ file: dangling, name }), undefined, 'nor is a link followed');
    await assert.rejects(stat(join(dirname(file), 'nowhere')), { code: 'ENOENT' });
  });

  for (const bits of [0o640, 0o604, 0o620, 0o602, 0o610, 0o777]) {
    test(`mode ${bits.toString(8)} is refused with the line that mends it`, async () => {
      const file = await freshFile();
      await createKeyFile({ file, name });
      await chmod(file, bits);
      await assert.rejects(readKeyFile({ file, name }), (error: Error & { code: string }) => {
        assert.equal(error.code, 'config-invalid');
        assert.match(error.message, new RegExp(`its mode is 0${bits.toString(8)}\\): run chmod 600 ${file}$`));
        return true;
      });
      await chmod(file, 0o400);
      assert.ok(await readKeyFile({ file, name }));
    });
  }

  test('the key of a witness is of another kind than that of a database, and neither is read as the other', async () => {
    const [own, witness] = [await freshFile(), await freshFile()];
    await createKeyFile({ file: own, name });
    const made = await createKeyFile({ file: witness, name, algorithm: COSIGNATURE });
    const read = await readKeyFile({ file: witness, name, algorithm: COSIGNATURE });
    assert.equal(read?.verifier.text, made?.verifier.text);
    await assert.rejects(readKeyFile({ file: witness, name }), { code: 'config-invalid' });
    await assert.rejects(readKeyFile({ file: own, name, algorithm: COSIGNATURE }), { code: 'config-invalid' });
  });

  test('a path that a shell would take apart is quoted in the advice', async () => {
    const file = join(await place, "it's a folder", 'log.key');
    await createKeyFile({ file, name });
    await chmod(file, 0o644);
    await assert.rejects(readKeyFile({ file, name }), {
      message: new RegExp(String.raw`chmod 600 '${await place}/it'\\''s a folder/log\.key'$`),
    });
  });

  test('a file of another user is refused, except by root, who may read anything', async (t) => {
    if (process.geteuid?.() !== 0) {
      t.skip('only root can give a file away');
      return;
    }
    const file = await freshFile();
    await createKeyFile({ file, name });
    await chown(file, 12_345, 12_345);
    assert.ok(await readKeyFile({ file, name }));
    t.mock.method(process as { geteuid: () => number }, 'geteuid', () => 54_321);
    await assert.rejects(readKeyFile({ file, name }), { code: 'config-invalid', message: /belongs to another user: run chown/ });
    await chown(file, 0, 0);
    assert.ok(await readKeyFile({ file, name }), 'root is trusted by everybody');
  });

  test('symbolic links, folders, pipes and long files are no keys', async () => {
    const file = await freshFile();
    await createKeyFile({ file, name });
    const linked = join(dirname(file), 'linked.key');
    await symlink(file, linked);
    await assert.rejects(readKeyFile({ file: linked, name }), { code: 'config-invalid', message: /is a symbolic link/ });
    await assert.rejects(readKeyFile({ file: dirname(file), name }), { code: 'config-invalid', message: /no regular file/ });
    const pipe = join(dirname(file), 'pipe.key');
    const made = spawn('mkfifo', ['-m', '600', pipe], { stdio: 'ignore' });
    assert.deepEqual(await once(made, 'exit'), [0, null]);
    await assert.rejects(readKeyFile({ file: pipe, name }), { code: 'config-invalid', message: /no regular file/ });
    const long = join(dirname(file), 'long.key');
    await writeFile(long, `${generateSignerKey(name).text}\n${'#'.repeat(2_000)}`, { mode: 0o600 });
    await assert.rejects(readKeyFile({ file: long, name }), { code: 'config-invalid', message: /longer than a key/ });
  });

  test('what is no whole key, or the key of another database, is refused and never repeated', async () => {
    const file = await freshFile();
    const { text } = generateSignerKey('other.example');
    await mkdir(dirname(file), { mode: 0o700 });
    const seed = text.slice(-44);
    const mangled = [
      '',
      '\n',
      'x',
      text.slice(0, -1),
      ` ${text}`,
      `${text}\n\n`,
      `PRIVATE+KEY+${seed}+${seed}+${seed}`,
      text.replace('PRIVATE', ''),
    ];
    for (const content of mangled) {
      await writeFile(file, content, { mode: 0o600 });
      await assert.rejects(readKeyFile({ file, name }), (error: Error & { code: string }) => {
        assert.equal(error.code, 'config-invalid');
        assert.match(error.message, /holds no whole signing key/);
        assert.ok(!error.message.includes(seed.slice(0, 12)));
        return true;
      });
    }
    await writeFile(file, `${text}\r\n`, { mode: 0o600 });
    await assert.rejects(readKeyFile({ file, name }), (error: Error) => {
      assert.match(error.message, /holds the key of other\.example, not of goyi\.example\/sumdb/);
      assert.ok(!error.message.includes(seed.slice(0, 12)));
      return true;
    });
    assert.equal((await readKeyFile({ file, name: 'other.example' }))?.verifier.name, 'other.example');
  });

  test('a folder in which others may write is refused', async () => {
    const file = await freshFile();
    await mkdir(dirname(file));
    await chmod(dirname(file), 0o775);
    await assert.rejects(createKeyFile({ file, name }), { code: 'config-invalid', message: new RegExp(`run chmod 700 ${dirname(file)}$`) });
    assert.deepEqual(await readdir(dirname(file)), []);
    await chmod(dirname(file), 0o755);
    assert.ok(await createKeyFile({ file, name }));
  });

  test('a folder that cannot be made is a fault of the storage', async () => {
    await assert.rejects(createKeyFile({ file: join(import.meta.filename, 'keys', 'log.key'), name }), { code: 'storage-fault' });
  });

  test('inside is what lies there once symbolic links are followed', async () => {
    const base = join(await place, 'inside');
    await mkdir(join(base, 'data', 'keys'), { recursive: true });
    await mkdir(join(base, 'data-keys'));
    await symlink(join(base, 'data', 'keys'), join(base, 'linked-keys'));
    await symlink(join(base, 'data'), join(base, 'linked-data'));
    const found: Record<string, boolean> = {};
    for (const folder of ['data', 'data/keys', 'data-keys', 'linked-keys', 'linked-data', 'absent', 'linked-data/absent'])
      found[folder] = await isInside(join(base, folder, 'log.key'), join(base, 'data'));
    assert.deepEqual(found, {
      data: true,
      'data/keys': true,
      'data-keys': false,
      'linked-keys': true,
      'linked-data': true,
      absent: false,
      'linked-data/absent': true,
    });
    assert.equal(await isInside(join(base, 'data', 'keys', 'log.key'), join(base, 'linked-data')), true);
  });

  test('two processes that make the same key at once: there is one, and both read it', async () => {
    const base = await place;
    await using first = await startMaker(base);
    await using second = await startMaker(base);
    for (let round = 0; round < 40; round += 1) {
      const said = await Promise.all([first.ask(`round-${round}`), second.ask(`round-${round}`)]);
      const made = said.filter((text) => text !== 'exists');
      assert.equal(made.length, 1, said.join());
      assert.equal((await readKeyFile({ file: join(base, 'keys', `round-${round}`), name }))?.verifier.text, made[0]);
    }
    assert.equal((await readdir(join(base, 'keys'))).length, 40, 'no draft is left');
  });

  test('at every moment of its making a file is a whole key or not there, so that a kill -9 leaves no half one', async () => {
    const base = join(await place, 'watched');
    await mkdir(join(base, 'keys'), { recursive: true, mode: 0o700 });
    await using maker = await startMaker(base);
    for (let round = 0; round < 60; round += 1) {
      const made = maker.ask(String(round));
      const text = readAsSoonAsThere(join(base, 'keys', String(round)));
      assert.equal(parseSignerKey(text.trimEnd()).ok, true, `${text.length} characters`);
      await made;
    }
  });
}

/** Looks without pause: the moment between the making of a name and the writing of its bytes is short. */
function readAsSoonAsThere(file: string): string {
  for (const endMs = performance.now() + 10_000; performance.now() < endMs; ) {
    try {
      return readFileSync(file, 'latin1');
    } catch {
      // Not there yet.
    }
  }
  throw new Error(`${file} was not made in 10 s`);
}

interface Maker extends AsyncDisposable {
  ask(file: string): Promise<string>;
}

async function startMaker(base: string): Promise<Maker> {
  const child = spawn(process.execPath, [import.meta.filename, 'make', base], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.on('error', () => {}); // It may have been killed.
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const line = async (): Promise<string> => String((await lines.next()).value);
  const exited = once(child, 'exit');
  assert.equal(await line(), 'ready');
  return {
    ask: (file) => {
      child.stdin.write(`${file}\n`);
      return line();
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

if (mode === 'make') await makeOnDemand();
else defineTests();
