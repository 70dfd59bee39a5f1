// `setup.sh --netrc` and `goyi env --netrc` in front of a closed hub with TLS: the real go command gets in with nothing else, and the file of this user is
// left as it was in every other respect.
import assert from 'node:assert/strict';
import { chmod, chown, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer, get } from 'node:https';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { absolute, isHere } from './support/bare-home.ts';
import { Colleague } from './support/colleague.ts';
import { type HubProcess, runGoyi } from './support/hub-process.ts';
import { address, makeModule, type SyntheticModule } from './support/synthetic-module.ts';
import { startWorld, type SyntheticWorld } from './support/synthetic-world.ts';

const tls = (name: string): string => fileURLToPath(new URL(`../testdata/tls/${name}`, import.meta.url));
const shells = ['sh', 'dash', 'bash', 'busybox sh', 'zsh --emulate sh'].filter((shell) => isHere(shell.split(' ')[0] ?? ''));
const OPEN = '# >>> goyi netrc >>>\n';
const CLOSE = '# <<< goyi netrc <<<\n';

let world: SyntheticWorld;
let hub: HubProcess;
let url = '';
let machine = '';
let script = '';
let secret: SyntheticModule;
let token = '';
let otherToken = '';

const arrive = (tool: string, netrc?: string): Promise<Colleague> =>
  Colleague.arrive({ folder: world.folder, url, script, token, module: secret }, tool, netrc);

const block = (secretToken = token): string => `${OPEN}machine ${machine} login goyi password ${secretToken}\n${CLOSE}`;

async function newToken(name: string, scope: string): Promise<string> {
  const made = await runGoyi(['admin', 'token', 'new', '--name', name, '--scope', scope, '--expires', '1d', '--data-dir', hub.dataDir]);
  assert.equal(made.code, 0, made.output);
  return /goyi_[\w-]{49}/.exec(made.output)?.[0] ?? assert.fail(made.output);
}

/** In front of the hub, as one whose identity provider is out of reach. */
async function hubThatCannotTell(): Promise<AsyncDisposable & { readonly url: string }> {
  const [key, cert] = await Promise.all([readFile(tls('server.key')), readFile(tls('server.pem'))]);
  const server = createServer({ key, cert }, (req, res) => {
    if (req.headers.authorization !== undefined) return void res.writeHead(502).end();
    res.end(JSON.stringify({ address: `https://${req.headers.host}`, ownDatabase: null, privatePatterns: [] }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
  return { url: `https://localhost:${port}`, [Symbol.asyncDispose]: close };
}

before(async () => {
  world = await startWorld();
  // For the colleague who may not write.
  await chmod(world.folder, 0o711);
  secret = makeModule('git.corp.example/team/lib', 'v1.2.0');
  const config = join(world.folder, 'goyi.yaml');
  await writeFile(config, 'private: [{match: "git.corp.example/*", uploads: true}]\naccess: {anonymous: []}\n');
  const env = { GOYI_TLS_CERT_FILE: tls('server.pem'), GOYI_TLS_KEY_FILE: tls('server.key') };
  hub = await world.hub({ args: ['--config', config], env });
  url = hub.url.replace('127.0.0.1', 'localhost');
  machine = new URL(url).host;
  token = await newToken('reader', 'read:*');
  otherToken = await newToken('reader2', 'read:*');
  const publisher = await newToken('publisher', 'publish:git.corp.example/*');
  const zip = join(world.folder, 'm.zip');
  await writeFile(zip, secret.zip);
  const colleague = await arrive('sh');
  const put = ['curl', '-sS', '-f', '-H', `Authorization: Bearer ${publisher}`, '-T', zip, `${url}/api/v1/modules/${address(secret)}zip`];
  const published = await colleague.run(put);
  assert.equal(published.code, 0, published.output);
  const ca = await readFile(tls('ca.pem'));
  script = await new Promise((resolve, reject) => {
    get(`${url}/setup.sh`, { ca, agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve(text));
    }).on('error', reject);
  });
});

after(async () => {
  await hub?.stop();
  await world?.[Symbol.asyncDispose]();
});

for (const tool of [...shells, 'goyi']) {
  test(`${tool}: go gets a private module with nothing but the entry; nothing on the second run; as it was after --undo`, async () => {
    const colleague = await arrive(tool);
    const dry = await colleague.setUp(['--netrc', '--dry-run'], {});
    assert.equal(dry.code, 0, dry.output);
    assert.ok(dry.output.includes(`.netrc: machine ${machine} login goyi password …\n`), dry.output);
    await colleague.hasOnly();

    const first = await colleague.setUp();
    assert.equal(first.code, 0, first.output);
    assert.equal(await colleague.read(), block());
    assert.equal(await colleague.mode(), '600');
    const got = await colleague.download();
    assert.equal(got.code, 0, got.output);
    assert.match((await colleague.download({ NETRC: '/dev/null' })).output, /401 Unauthorized/);

    const { mtimeNs, ino } = await stat(colleague.netrc, { bigint: true });
    const second = await colleague.setUp();
    assert.match(second.output, /everything is set already/);
    const still = await stat(colleague.netrc, { bigint: true });
    assert.deepEqual([still.mtimeNs, still.ino], [mtimeNs, ino]);
    const other = await colleague.setUp(['--netrc'], { GOYI_TOKEN: otherToken });
    assert.equal(other.code, 0, other.output);
    assert.equal(await colleague.read(), block(otherToken));

    const look = await colleague.setUp(['--undo', '--dry-run'], {});
    assert.match(look.output, /\.netrc: the marked block is taken out/);
    assert.equal(await colleague.read(), block(otherToken));
    const undone = await colleague.setUp(['--undo'], {});
    assert.equal(undone.code, 0, undone.output);
    await colleague.hasOnly();
    assert.match((await colleague.setUp(['--undo'], {})).output, /nothing to put back/);
    for (const { output } of [dry, first, second, other, look, undone]) assert.doesNotMatch(output, /goyi_[\w-]{20}/);
  });
}

const files = {
  'a default alone on its line': 'machine a.example login b password c\ndefault\n  login x\n  password y\n',
  'a macro without an end': 'machine a.example login b password c\nmacdef init\ncd /pub\nls',
  'an entry cut short, and bytes of no encoding': 'machine a.example login b\n# caf\u00e9 \u00ff\u0080',
  'line ends of Windows': 'machine a.example\r\n  login b\r\n  password c\r\n\r\n',
  'an empty file': '',
};

for (const tool of ['sh', 'goyi'])
  for (const [what, text] of Object.entries(files))
    test(`${tool}: in front of ${what} the entry is effective, and the file comes back to the byte`, async () => {
      const colleague = await arrive(tool);
      await writeFile(colleague.netrc, text, { encoding: 'latin1', mode: 0o600 });
      const { code, output } = await colleague.setUp();
      assert.equal(code, 0, output);
      assert.equal(await colleague.read(), block() + text);
      const got = await colleague.download();
      assert.equal(got.code, 0, got.output);
      // What somebody has written above since then stays there, and hides nothing.
      await writeFile(colleague.netrc, `macdef x\n${await colleague.read()}`, 'latin1');
      assert.equal((await colleague.setUp()).code, 0);
      assert.equal(await colleague.read(), `${block()}macdef x\n${text}`);
      assert.equal((await colleague.setUp(['--undo'], {})).code, 0);
      assert.equal(await colleague.read(), `macdef x\n${text}`);
    });

for (const tool of ['sh', 'goyi']) {
  const others = tool === 'sh' ? 'goyi' : 'sh';

  test(`${tool}: an entry for the same machine is not touched; a comment, a macro and another port are none`, async () => {
    for (const text of ['machine HOST login me password mine\n', 'machine\n  HOST\nlogin me password mine', 'default\nmachine HOST\r\n']) {
      const netrc = text.replace('HOST', machine);
      const colleague = await arrive(tool, netrc);
      const { code, output } = await colleague.setUp();
      assert.equal(code, 4, output);
      assert.match(output, /has an entry for localhost:\d+ that is none of ours, and it stays/);
      assert.equal(await colleague.read(), netrc);
      await colleague.hasOnly('.netrc');
    }
    const unlike = `# machine ${machine}\nmachine localhost login a password b\nmacdef x\nmachine ${machine}\n\n`;
    const colleague = await arrive(tool, unlike);
    assert.equal((await colleague.setUp()).code, 0);
    assert.equal(await colleague.read(), block() + unlike);
  });

  test(`${tool}: without https, with a wrong token, an odd one, none, or --print nothing is changed`, async () => {
    const wrong = `${token.slice(0, -1)}${token.endsWith('x') ? 'y' : 'x'}`;
    const cases: readonly (readonly [args: readonly string[], token: string, code: number, said: RegExp])[] = [
      [['--netrc'], wrong, 4, /the hub does not take this token: it is wrong/],
      [['--netrc', '--dry-run'], wrong, 4, /the hub does not take this token: it is wrong/],
      [['--netrc', '--lang', 'zh'], wrong, 4, /本?[镜像]*站不接受此令牌/],
      ...['two words', 'a\nb', 'a\tb', 'a\u0007b', '"a"', '#a', 'caf\u00e9', 'a'.repeat(4097), `${token}\n`].map(
        (odd) => [['--netrc'], odd, 2, /this is no token/] as const,
      ),
      [['--netrc'], '', 2, /set the variable GOYI_TOKEN, or run this at a terminal/],
      ...(tool === 'goyi' ? [[['--netrc', '--print', '--for', 'sh'], token, 2, /--netrc does not go with --print/] as const] : []),
    ];
    for (const [args, given, code, said] of cases) {
      const colleague = await arrive(tool);
      const ran = await colleague.setUp(args, { GOYI_TOKEN: given });
      assert.equal(ran.code, code, `${given}: ${ran.output}`);
      assert.match(ran.output, said);
      assert.doesNotMatch(ran.output, /goyi_[\w-]{20}/);
      await colleague.hasOnly();
    }
  });

  test(`${tool}: a file that others can read is made private, and is as it was after --undo of either`, async () => {
    for (const mode of [0o644, 0o640]) {
      const colleague = await arrive(tool, 'machine a.example login b password c\n');
      await chmod(colleague.netrc, mode);
      const { code, output } = await colleague.setUp();
      assert.equal(code, 0, output);
      assert.ok(output.includes(`others could read it (mode ${mode.toString(8)}): from now on its mode is 600`), output);
      assert.equal(await colleague.mode(), '600');
      await colleague.undoneBy(others);
      assert.equal(await colleague.read(), 'machine a.example login b password c\n');
      assert.equal(await colleague.mode(), mode.toString(8));
    }
    const colleague = await arrive(tool, 'machine a.example login b password c\n');
    await chmod(colleague.netrc, 0o400);
    assert.doesNotMatch((await colleague.setUp()).output, /others could read/);
    assert.equal(await colleague.mode(), '400');
    await colleague.undoneBy(others);
    assert.equal(await colleague.mode(), '400');
  });

  test(`${tool}: a link stays a link, also to a file that is not there yet, and the other one takes the entry back`, async () => {
    const colleague = await arrive(tool);
    await mkdir(join(colleague.home, 'dotfiles'));
    const target = join(colleague.home, 'dotfiles', 'netrc');
    await symlink('dotfiles/netrc', colleague.netrc);
    for (const text of [undefined, 'machine a.example login b password c']) {
      if (text !== undefined) await writeFile(target, text, { mode: 0o600 });
      assert.equal((await colleague.setUp()).code, 0);
      assert.equal(await readFile(target, 'utf8'), block() + (text ?? ''));
      assert.equal((await colleague.download()).code, 0);
      await colleague.undoneBy(others);
      assert.equal(await colleague.read(), text ?? 'none');
      assert.equal(await readlink(colleague.netrc), 'dotfiles/netrc');
      assert.deepEqual(await readdir(dirname(target)), text === undefined ? [] : ['netrc']);
    }
  });

  test(`${tool}: where the file or what --undo needs cannot be written nothing is changed`, async () => {
    const blocked = await arrive(tool);
    await writeFile(join(blocked.home, '.local'), '');
    const noUndo = await blocked.setUp();
    assert.equal(noUndo.code, 7, noUndo.output);
    assert.match(noUndo.output, /(?:cannot|could not) write .*setup-netrc\.undo/);
    await blocked.hasOnly();

    const nowhere = await arrive(tool);
    const noFile = await nowhere.setUp(['--netrc'], { GOYI_TOKEN: token, NETRC: 'no/such/netrc' });
    assert.equal(noFile.code, 7, noFile.output);
    assert.match(noFile.output, /(?:cannot|could not) write .*no\/such\/netrc/);
    await nowhere.hasOnly();
    assert.equal((await nowhere.setUp(['--undo'], {})).code, 0);
  });

  test(`${tool}: a GOAUTH without netrc is said, and one with it is not`, async () => {
    const colleague = await arrive(tool);
    const off = await colleague.setUp(['--netrc'], { GOYI_TOKEN: token, GOAUTH: 'off' });
    assert.equal(off.code, 1, off.output);
    assert.match(off.output, /GOAUTH=off has no netrc in it, so the go command does not read \S+\.netrc/);
    const both = await colleague.setUp(['--netrc', '--goauth', 'git /tmp; netrc']);
    assert.equal(both.code, 0, both.output);
  });

  test(`${tool}: a hub that cannot tell whether it takes the token stops nothing`, async () => {
    await using unsure = await hubThatCannotTell();
    const colleague = await arrive(tool);
    const { code, output } = await colleague.setUp(['--netrc'], { GOYI_TOKEN: token }, [], unsure.url);
    assert.equal(code, 0, output);
    assert.match(output, /the hub could not tell whether it takes this token \(502\); going on/);
    assert.equal(await colleague.read(), block().replace(machine, new URL(unsure.url).host));
  });

  test(`${tool}: a go command before 1.20, which looks for no port, gets an entry without one`, async () => {
    const colleague = await arrive(tool);
    const [go] = absolute('go');
    const old = `#!/bin/sh
case "$*" in
  version) echo go version go1.19.13 linux/amd64 ;;
  'env GOVERSION GOENV') echo go1.19.13; exec ${go} env GOENV ;;
  *) exec ${go} "$@" ;;
esac
`;
    await mkdir(join(colleague.home, 'go'));
    await writeFile(join(colleague.home, 'go', 'go'), old, { mode: 0o755 });
    const { code, output } = await colleague.setUp(['--netrc'], {
      GOYI_TOKEN: token,
      PATH: `${join(colleague.home, 'go')}:${process.env['PATH']}`,
    });
    assert.equal(code, 0, output);
    assert.equal(await colleague.read(), block().replace(machine, 'localhost'));
  });

  test(`${tool}: a block with half of its marks is left to its owner`, async () => {
    const colleague = await arrive(tool);
    assert.equal((await colleague.setUp()).code, 0);
    const damaged = (await colleague.read()).replace(CLOSE, '');
    await writeFile(colleague.netrc, damaged);
    for (const args of [['--netrc'], ['--undo']]) {
      const { code, output } = await colleague.setUp(args);
      assert.equal(code, 4, output);
      assert.match(output, /have been changed: take them out by hand/);
      assert.equal(await colleague.read(), damaged);
    }
    await writeFile(colleague.netrc, damaged + CLOSE);
    assert.equal((await colleague.setUp(['--undo'])).code, 0);
    await colleague.hasOnly();
  });
}

const isRoot = process.getuid?.() === 0;
/** Root may write everywhere. */
const nobody = isRoot ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];

for (const shell of shells)
  test(`${shell}: a home that may not be written is said, and nothing is left there`, { skip: isRoot && !isHere('setpriv') }, async () => {
    const colleague = await arrive(shell, 'machine a.example login b password c\n');
    const state = `${colleague.home}-state`;
    await mkdir(state);
    if (isRoot) for (const path of [colleague.home, colleague.netrc, state]) await chown(path, 65_534, 65_534);
    await chmod(colleague.home, 0o500);
    const { code, output } = await colleague.setUp(['--netrc'], { GOYI_TOKEN: token, XDG_STATE_HOME: state }, nobody);
    assert.equal(code, 7, output);
    assert.match(output, /could not write \S+\.netrc/);
    assert.equal(await colleague.read(), 'machine a.example login b password c\n');
    await colleague.hasOnly('.netrc');
  });

// Before the token is asked for, and before an SDK is installed.
test('sh --go: an entry for the same machine is said before anything else is done', async () => {
  const colleague = await arrive('sh', `machine ${machine} login me password mine\n`);
  const { code, output } = await colleague.setUp(['--netrc', '--go', 'latest'], {});
  assert.equal(code, 4, output);
  await colleague.hasOnly('.netrc');
});

const hasTerminals = process.platform === 'linux' && isHere('script');

for (const tool of [...shells, 'goyi']) {
  test(`${tool}: at a terminal the token is asked for and not shown`, { skip: !hasTerminals }, async () => {
    const colleague = await arrive(tool);
    const output = await colleague.atTerminal(tool === 'goyi' ? `x\u0015${token}z\u007f\r` : `${token}\r`, 'stty -a');
    assert.match(output, /code 0/);
    assert.equal(await colleague.read(), block());
    assert.doesNotMatch(output, /goyi_[\w-]{20}/);
    assert.match(output, /[^-]\becho\b/);
  });

  test(`${tool}: Ctrl-C at the question leaves a terminal that shows what is typed, and nothing else`, {
    skip: !hasTerminals,
  }, async () => {
    const colleague = await arrive(tool);
    const output = await colleague.atTerminal(`${token.slice(0, 30)}\u0003`, 'stty -a');
    assert.match(output, /code 130/);
    assert.doesNotMatch(output, /goyi_[\w-]{20}/);
    assert.match(output, /[^-]\becho\b/);
    assert.doesNotMatch(output, /-(?:echo|icanon|isig)\b/);
    await colleague.hasOnly();
  });
}
