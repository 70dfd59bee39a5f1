import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { generateSignerKey } from '../../protocol/note.ts';
import { en } from '../messages/en.ts';
import { zh } from '../messages/zh.ts';
import { formatEffective } from './effective.ts';
import { formatFault } from './faults.ts';
import type { HubConfig } from './hub-config.ts';
import { type ConfigInput, type ConfigOutcome, loadConfig } from './load.ts';
import { flagName, variableName } from './overrides.ts';
import { configKeys } from './schema.ts';

function load(text: string | undefined, more: Partial<ConfigInput> = {}): ConfigOutcome {
  const file = text === undefined ? undefined : { path: '/etc/goyi/goyi.yaml', shown: 'goyi.yaml', text };
  return loadConfig({ file, env: {}, flags: {}, folder: '/srv/typed', cores: 2, ...more });
}

function valid(text: string | undefined, more: Partial<ConfigInput> = {}): HubConfig {
  const outcome = load(text, more);
  assert.ok(outcome.ok, outcome.ok ? '' : outcome.faults.map((fault) => formatFault(fault, en)).join('\n'));
  return outcome.config;
}

function faults(text: string | undefined, more: Partial<ConfigInput> = {}): string[] {
  const outcome = load(text, more);
  return outcome.ok ? [] : outcome.faults.map((fault) => formatFault(fault, en));
}

test('the default needs nothing', () => {
  const config = valid(undefined, { cores: 64 });
  assert.deepEqual(config.listen, { host: '127.0.0.1', port: 8080, loopback: true });
  assert.equal(config.dataDir, '/srv/typed/data');
  assert.equal(config.workers, 4);
  assert.deepEqual(config.upstreams, { kind: 'default' });
  assert.deepEqual(config.checksumDatabases, ['sum.golang.org']);
  assert.deepEqual(config.access.anonymous, ['read']);
  assert.equal(config.verify, 'require');
  assert.equal(config.limits.waitMs, 600_000);
  assert.equal(valid(undefined, { cores: 1 }).workers, 1);
  assert.deepEqual(valid(''), valid(undefined));
  assert.deepEqual(valid('# nothing\nlimits:\naccess:\n'), valid(undefined));
});

test('the configuration is immutable plain JSON', () => {
  const config = valid('policy: {rules: [{match: a.example, action: deny, reason: because}]}');
  assert.ok(Object.isFrozen(config) && Object.isFrozen(config.limits) && Object.isFrozen(config.nameRules[0]));
  assert.deepEqual(
    JSON.parse(JSON.stringify(config)),
    JSON.parse(JSON.stringify(valid('policy: {rules: [{match: a.example, action: deny, reason: because}]}'))),
  );
});

test('a flag goes before a variable, that before the file, that before the default', () => {
  const text = 'workers: 3\n';
  const env = { GOYI_WORKERS: '5' };
  assert.equal(valid(undefined).workers, 2);
  assert.equal(valid(text).workers, 3);
  assert.equal(valid(text, { env }).workers, 5);
  assert.equal(valid(text, { env, flags: { workers: '7' } }).workers, 7);
  assert.equal(valid(text, { env: { GOYI_WORKERS: '' } }).workers, 3, 'an empty variable counts as not set');
});

test('every key can be set by its variable', () => {
  const samples: Readonly<Record<string, string>> = {
    listen: '127.0.0.1:1',
    publicUrl: 'https://hub.example/go/',
    dataDir: 'd',
    upstreams: 'https://a.example, https://b.example/x/,direct',
    checksumDatabases: 'sum.golang.org',
    'tls.certFile': 'c.pem',
    'tls.keyFile': 'k.pem',
    'tls.caFile': 'ca.pem',
    'outbound.proxy': 'proxy.example:3128',
    'outbound.noProxy': 'a.example,10.0.0.0/8',
    'ownDatabase.name': 'goyi.example/sumdb',
    'ownDatabase.keyFile': 'own.key',
    'access.anonymous': 'read',
    'access.trustedProxies': '127.0.0.1, fd00::/8',
    'sdk.mirrors': 'https://mirror.example/golang/, http://10.0.0.1/go',
    'sdk.index': 'https://mirror.example/dl/',
    'handOver.to': '127.0.0.1, fd00::/8',
    'witness.name': 'witness.example/w1',
    'witness.listen': ':8090',
    'witness.stateDir': 'w',
    'witness.keyFile': 'w.key',
    'witness.logs': 'localhost.localdev/sumdb+00000c67+AcTrnkbUA+TU4heY3hkjiSES/DSQniBqIeQ/YppAUtK6',
  };
  const settable = configKeys().filter(({ kind }) => kind !== 'not built' && kind !== 'groups');
  const env = Object.fromEntries(settable.map((key) => [variableName(key.name), samples[key.name] ?? String(key.min ?? key.choices[0])]));
  const config = valid(undefined, { env });
  assert.deepEqual(config.upstreams, {
    kind: 'list',
    entries: [{ kind: 'url', url: 'https://a.example' }, { kind: 'url', url: 'https://b.example/x' }, { kind: 'direct' }],
  });
  assert.equal(config.publicUrl, 'https://hub.example/go');
  assert.deepEqual(config.sdk, { mirrors: ['https://mirror.example/golang', 'http://10.0.0.1/go'], index: 'https://mirror.example/dl/' });
  assert.deepEqual(config.tls, { certFile: '/srv/typed/c.pem', keyFile: '/srv/typed/k.pem' });
  assert.deepEqual(config.outbound, {
    httpProxy: 'http://proxy.example:3128',
    httpsProxy: 'http://proxy.example:3128',
    noProxy: 'a.example,10.0.0.0/8',
    caFile: '/srv/typed/ca.pem',
  });
  assert.deepEqual(config.ownDatabase, {
    name: 'goyi.example/sumdb',
    keyFile: '/srv/typed/own.key',
    sign: 'all',
    former: [],
    witnesses: [],
  });
  assert.deepEqual(config.witness, {
    name: 'witness.example/w1',
    listen: { host: '', port: 8090, loopback: false },
    stateDir: '/srv/typed/w',
    keyFile: '/srv/typed/w.key',
    logs: [samples['witness.logs']],
  });
  assert.equal(config.log.level, 'debug');
});

test('the key of a witness lies in its folder unless another file is named', () => {
  assert.equal(valid('witness: {stateDir: ../w}').witness.keyFile, '/etc/w/witness.key');
  assert.equal(valid('witness: {stateDir: ../w, keyFile: k}').witness.keyFile, '/etc/goyi/k');
});

test('names of variables and flags follow the path', () => {
  assert.equal(variableName('ownDatabase.keyFile'), 'GOYI_OWN_DATABASE_KEY_FILE');
  assert.equal(variableName('access.anonymous'), 'GOYI_ACCESS_ANONYMOUS');
  assert.equal(flagName('dataDir'), '--data-dir');
  assert.equal(flagName('log.level'), '--log-level');
  const names = configKeys().map(({ name }) => variableName(name));
  assert.equal(new Set(names).size, names.length);
});

test('a relative path is relative to where it was written', () => {
  assert.equal(valid('dataDir: ./d').dataDir, '/etc/goyi/d');
  assert.equal(valid('dataDir: /var/d').dataDir, '/var/d');
  assert.equal(valid('dataDir: ./d', { env: { GOYI_DATA_DIR: 'e' } }).dataDir, '/srv/typed/e');
  assert.equal(valid('dataDir: ./d', { flags: { dataDir: '../f' } }).dataDir, '/srv/f');
  assert.equal(valid('workers: 1').dataDir, '/srv/typed/data', 'the default is not written in the file');
  assert.equal(valid('tls: {caFile: ca.pem}').outbound.caFile, '/etc/goyi/ca.pem');
});

test('all faults are told at once, each with its place', () => {
  const text = `listen: 0.0.0.0:8080
worker: 3
upstreams: [https://a.example, "https://b.example|https://c.example", direct]
limits:
  waitSeconds: 0
  idleSeconds: x
policy:
  rules:
    - {match: "x.example/*", action: forbid, age: 1}
    - match: "[a"
      action: deny
private:
  - match: a.example
    rootElements: 3
store: {kind: s3, bucket: b}
verify: on
tls: {certFile: c.pem}
`;
  const found = faults(text, {
    env: { GOYI_LISTE: '', GOYI_WORKERS: '99', GOYI_SYNC_INDEX: 'x', GOYI_POLICY_RULES: 'x' },
    flags: { dataDir: '~/d', upstreams: 'https://a.example|direct' },
  });
  const notBuilt = 'not built yet in this version; take it out of the configuration';
  const bars = 'lists are separated by commas, | is not allowed: a hub never goes on to the next upstream after a refusal';
  assert.deepEqual(found, [
    '--data-dir: dataDir: must be a path: not empty, no control characters; ~ is not expanded, write the whole path',
    `--upstreams: upstreams: ${bars}`,
    'GOYI_LISTE: there is no variable GOYI_LISTE; did you mean GOYI_LISTEN?',
    'GOYI_POLICY_RULES: policy.rules: can only be set in the configuration file',
    `GOYI_SYNC_INDEX: sync.index: ${notBuilt}`,
    'GOYI_WORKERS: workers: must be a whole number from 1 to 64',
    `goyi.yaml:1:9: listen: ${en.config.exposed}`,
    'goyi.yaml:2:1: worker: there is no key worker; did you mean workers?',
    `goyi.yaml:3:32: upstreams.1: ${bars}`,
    'goyi.yaml:5:16: limits.waitSeconds: must be a whole number from 1 to 3600',
    'goyi.yaml:6:16: limits.idleSeconds: must be a whole number from 1 to 600',
    'goyi.yaml:9:38: policy.rules.0.action: must be one of allow, deny',
    `goyi.yaml:9:46: policy.rules.0.age: ${en.config.ruleKeyNotBuilt}`,
    'goyi.yaml:10:7: policy.rules.1.reason: a deny rule needs a reason: the go command shows it to the user',
    'goyi.yaml:10:14: policy.rules.1.match: must be a pattern of module paths as in GOPRIVATE, optionally with @version (pattern "[a" is malformed)',
    `goyi.yaml:13:5: private.0: ${en.config.privateWays}`,
    `goyi.yaml:14:19: private.0.rootElements: ${en.config.onlyWithGit}`,
    `goyi.yaml:15:15: store.kind: ${notBuilt}`,
    `goyi.yaml:15:19: store.bucket: ${notBuilt}`,
    'goyi.yaml:16:9: verify: must be one of require, off',
    'goyi.yaml:17:17: tls.certFile: certFile needs a keyFile',
  ]);
});

const single = [
  { text: 'listen: 8080', fault: /1:9: listen: must be a text/ },
  { text: 'listen: "127.0.0.1"', fault: /1:9: listen: must be HOST:PORT/ },
  { text: 'listen: 127.0.0.1:65536', fault: /must be HOST:PORT/ },
  { text: 'listen: "256.0.0.1:80"', fault: /must be HOST:PORT/ },
  { text: 'listen: ":8080"', fault: /other machines can reach this address/ },
  { text: 'listen: "[::]:8080"\naccess: {groups: []}', fault: /other machines/ },
  { text: 'listen: "hub.corp.example:8080"', fault: /other machines/ },
  { text: 'publicUrl: hub.example', fault: /begins with http/ },
  { text: 'publicUrl: https://u:p@hub.example', fault: /without user/ },
  { text: 'workers: 0', fault: /1 to 64/ },
  { text: 'workers: "2"', fault: /1 to 64/ },
  { text: 'workers: 1.5', fault: /1 to 64/ },
  { text: 'upstreams: goproxy.cn', fault: /needs its scheme: https:\/\/goproxy.cn/ },
  { text: 'upstreams: [direct, https://a.example]', fault: /1:13: upstreams.0: direct must be the last entry/ },
  { text: 'upstreams: [off, direct]', fault: /off must be the last/ },
  { text: 'upstreams: []', fault: /at least one entry/ },
  { text: 'upstreams: [https://a.example/, https://A.example]', fault: /upstreams.1: the same upstream/ },
  { text: 'upstreams: ["http://u:secret@a.example"]', fault: /in the clear/ },
  { text: 'upstreams: ["ftp://a.example"]', fault: /begins with http/ },
  { text: 'upstreams: ["https://a.example/?x=1"]', fault: /without \?/ },
  { text: 'upstreams: ["http://localhost:8080"]', fault: /this very hub/ },
  {
    text: 'publicUrl: https://hub.example\nupstreams: [https://hub.example/x]',
    fault: /2:13: upstreams.0: this is the address of this very hub/,
  },
  { text: 'checksumDatabases: [sum.example.org]', fault: /known key/ },
  { text: 'checksumDatabases: [sum.golang.org, sum.golang.google.cn]', fault: /checksumDatabases.1: the same checksum database/ },
  {
    text: `checksumDatabases: [sum.golang.org, ${generateSignerKey('Sum.Golang.org').signer.verifier.text}]`,
    fault: /checksumDatabases.1: the same checksum database/,
  },
  { text: 'checksumDatabases: "sum.golang.org+033de0ae+AAAA"', fault: /as in GOSUMDB/ },
  { text: 'outbound: {proxy: "socks5://a.example"}', fault: /address of a proxy/ },
  { text: 'tls: {keyFile: k}', fault: /needs a certFile/ },
  { text: 'tls: []', fault: /group of keys/ },
  { text: 'access: {anonymous: [write]}', fault: /no grant/ },
  { text: 'access: {tokens: []}', fault: /there is no key tokens/ },
  { text: 'ownDatabase: {keyFile: /k/log.key}', fault: /1:24: ownDatabase.keyFile: there is no checksum database without a name/ },
  { text: 'ownDatabase: {former: [{name: a.example, keyFile: /k/a}]}', fault: /1:23: ownDatabase.former: .* without a name/ },
  { text: 'ownDatabase: {name: "a.example+00000000+AAAA"}', fault: /must read host\[\/path\]/ },
  { text: 'ownDatabase: {name: "https://a.example"}', fault: /must read host\[\/path\]/ },
  { text: 'ownDatabase: {name: a.example/lookup}', fault: /no part of the path is supported, latest, lookup or tile/ },
  { text: 'ownDatabase: {name: a.example/../b}', fault: /must read host\[\/path\]/ },
  { text: 'ownDatabase: {name: a.example/}', fault: /must read host\[\/path\]/ },
  { text: 'ownDatabase: {name: ""}', fault: /must read host\[\/path\]/ },
  { text: 'ownDatabase: {name: sum.golang.org}', fault: /1:21: ownDatabase.name: this is the name of a public checksum database/ },
  { text: 'ownDatabase: {name: sum.golang.google.cn}', fault: /name of a public checksum database/ },
  { text: 'ownDatabase: {name: SUM.golang.org}', fault: /name of a public checksum database/ },
  {
    text: 'checksumDatabases: "localhost.localdev/sumdb+00000c67+AcTrnkbUA+TU4heY3hkjiSES/DSQniBqIeQ/YppAUtK6"\nownDatabase: {name: localhost.localdev/SumDB}',
    fault: /2:21: ownDatabase.name: this is the name of a public/,
  },
  {
    text: 'ownDatabase: {name: a.example, former: [{name: A.example, keyFile: /k/a}]}',
    fault: /1:48: ownDatabase.former.0.name: the same name stands here twice/,
  },
  {
    text: 'dataDir: d\nownDatabase: {name: a.example, keyFile: d/log.key}',
    fault: /2:41: ownDatabase.keyFile: .* never lies inside the data/,
  },
  { text: 'dataDir: /srv/d\nownDatabase: {name: a.example, keyFile: /srv/d/../d/k}', fault: /never lies inside the data folder/ },
  { text: 'ownDatabase: {name: a.example, keyFile: /srv/typed/data}', fault: /never lies inside the data folder/ },
  {
    text: 'ownDatabase: {name: a.example, former: [{name: b.example, keyFile: /srv/typed/data/b}]}',
    fault: /ownDatabase.former.0.keyFile: .* never lies inside/,
  },
  {
    text: 'ownDatabase: {name: a.example, former: [{name: b.example, keyFile: /srv/typed/data-keys/log.key}]}',
    fault: /ownDatabase.former.0.keyFile: the same key file stands here twice/,
  },
  { text: 'ownDatabase: {name: a.example, former: [{name: b.example}]}', fault: /ownDatabase.former.0.keyFile: is missing/ },
  {
    text: 'ownDatabase: {name: a.example, former: [{nam: b.example, name: c.example, keyFile: k}]}',
    fault: /no key nam; did you mean name\?/,
  },
  { text: 'ownDatabase: {name: a.example, sign: everything}', fault: /must be one of all, private/ },
  { text: 'verify: off\nownDatabase: {name: a.example}', fault: /2:14: ownDatabase.sign: sign: all cannot go with verify: off/ },
  {
    text: 'verify: off\nownDatabase: {name: a.example, sign: private, former: [{name: b.example, keyFile: k}]}',
    fault: /ownDatabase.former.0.sign: sign: all cannot go with verify: off/,
  },
  { text: 'witness: {name: "a b"}', fault: /must read host\[\/path\]/ },
  { text: 'witness: {logs: [sum.golang.org]}', fault: /must be the key of a database/ },
  { text: 'witness: {logs: ["witness.example/w1+f1b0c3a1+BMTrnkbUA+TU4heY3hkjiSES/DSQniBqIeQ/YppAUtK6"]}', fault: /unknown algorithm/ },
  { text: 'ownDatabase: {nmae: a.example}', fault: /did you mean name\?/ },
  { text: 'metadata: {kind: postgres}', fault: /not built yet/ },
  { text: 'policy: {rules: [{match: a.example, action: deny, reason: "a\\u001b[31m"}]}', fault: /one sentence/ },
  { text: 'policy: {rules: [{action: allow}]}', fault: /rules.0.match: is missing/ },
  { text: 'policy: {rules: [3]}', fault: /group of keys/ },
  { text: '- a', fault: /1:1: the file must hold keys/ },
  { text: 'workers: 1\nworkers: 2', fault: /2:1: this is not valid YAML/ },
  { text: 'limits: [', fault: /not valid YAML/ },
  { text: 'listen: *x', fault: /quote a value that begins with \*/ },
  { text: 'listen: &x 127.0.0.1:1', fault: /anchors and aliases/ },
  { text: '__proto__: {listen: x}', fault: /there is no key __proto__/ },
  { text: '"\\u001b[2J": 1', fault: /^goyi\.yaml:1:1: \uFFFD\[2J: there is no key \uFFFD/ },
  { text: `a: ${'['.repeat(50_000)}`, fault: /./ },
] as const;

for (const { text, fault } of single) {
  test(`one fault: ${JSON.stringify(text.slice(0, 80))}`, () => {
    const found = faults(text);
    assert.ok(found.length >= 1 && (text.length > 1_000 || found.length === 1), found.join('\n') || 'no fault');
    assert.match(found[0] ?? '', fault);
  });
}

test('every sentence is there in Chinese too', () => {
  for (const { text } of single) {
    const outcome = load(text);
    assert.ok(!outcome.ok);
    for (const fault of outcome.faults) assert.match(fault.say(zh), /\p{Script=Han}/u);
  }
});

test('an address that others reach is fine when the configuration says who may read', () => {
  assert.equal(valid('listen: :80\naccess: {anonymous: [read]}').listen.host, '');
  assert.deepEqual(valid('listen: :80\naccess: {anonymous: []}').access.anonymous, []);
  assert.equal(valid('listen: 0.0.0.0:80', { env: { GOYI_ACCESS_ANONYMOUS: 'read' } }).listen.loopback, false);
  for (const listen of ['127.0.0.1:0', '127.8.8.8:1', '[::1]:1', 'localhost:1', '[::ffff:127.0.0.1]:1', '[0:0:0:0:0:0:0:1]:1']) {
    assert.equal(valid(undefined, { flags: { listen } }).listen.loopback, true, listen);
  }
});

test('direct is an upstream like others, off means nothing is fetched', () => {
  const outcome = load('upstreams: [https://a.example, direct]');
  assert.deepEqual(outcome.ok && outcome.notes, []);
  assert.deepEqual(valid('upstreams: direct').upstreams, { kind: 'list', entries: [{ kind: 'direct' }] });
  assert.deepEqual(valid('upstreams: off').upstreams, { kind: 'off' });
  assert.deepEqual(valid('upstreams: [https://a.example, off]').upstreams, {
    kind: 'list',
    entries: [{ kind: 'url', url: 'https://a.example' }],
  });
});

test('a database of our own: off without a name, its key beside the data folder, former ones kept', () => {
  assert.equal(valid(undefined).ownDatabase, undefined);
  assert.equal(valid('ownDatabase: {sign: private}').ownDatabase, undefined);
  assert.deepEqual(valid('ownDatabase: {name: goyi.example/sumdb}\ndataDir: /var/lib/goyi/').ownDatabase, {
    name: 'goyi.example/sumdb',
    keyFile: '/var/lib/goyi-keys/log.key',
    sign: 'all',
    former: [],
    witnesses: [],
  });
  const rotated =
    'ownDatabase: {name: a.example/2, keyFile: keys/2.key, sign: private, former: [{name: a.example/1, keyFile: keys/1.key}]}';
  assert.deepEqual(valid(rotated).ownDatabase, {
    name: 'a.example/2',
    keyFile: '/etc/goyi/keys/2.key',
    sign: 'private',
    former: [{ name: 'a.example/1', keyFile: '/etc/goyi/keys/1.key', sign: 'all' }],
    witnesses: [],
  });
  const beside = 'ownDatabase: {name: a.example}\ndataDir: /srv/d';
  for (const keyFile of ['/srv/d-keys/k', '/srv/d..', '/srv/..d', '/srv/k'])
    assert.equal(valid(beside, { env: { GOYI_OWN_DATABASE_KEY_FILE: keyFile } }).ownDatabase?.keyFile, keyFile);
  assert.equal(valid('verify: off\nownDatabase: {name: a.example, sign: private}').ownDatabase?.sign, 'private');
  assert.deepEqual(faults(undefined, { env: { GOYI_OWN_DATABASE_FORMER: 'x' } }), [
    'GOYI_OWN_DATABASE_FORMER: ownDatabase.former: can only be set in the configuration file',
  ]);
});

test('faults of several own databases are told at once', () => {
  const text = `verify: off
checksumDatabases: [sum.golang.org]
ownDatabase:
  name: sum.golang.org
  keyFile: /srv/typed/data/k
  former:
    - {name: a.example, keyFile: /k}
    - {name: a.example, keyFile: /k, sign: private}
`;
  assert.deepEqual(faults(text), [
    `goyi.yaml:4:3: ownDatabase.sign: ${en.config.signAllUnproved}`,
    `goyi.yaml:4:9: ownDatabase.name: ${en.config.ownDatabasePublic}`,
    `goyi.yaml:5:12: ownDatabase.keyFile: ${en.config.keyInDataDir}`,
    `goyi.yaml:7:7: ownDatabase.former.0.sign: ${en.config.signAllUnproved}`,
    `goyi.yaml:8:14: ownDatabase.former.1.name: ${en.config.ownDatabaseTwice}`,
    `goyi.yaml:8:34: ownDatabase.former.1.keyFile: ${en.config.keyFileTwice}`,
  ]);
});

test('proxies come from the environment unless the configuration names one', () => {
  const env = { HTTP_PROXY: 'http://a.example:1', https_proxy: 'b.example:2', HTTPS_PROXY: '', NO_PROXY: 'c.example' };
  assert.deepEqual(valid(undefined, { env }).outbound, {
    httpProxy: 'http://a.example:1',
    httpsProxy: 'b.example:2',
    noProxy: 'c.example',
    caFile: undefined,
  });
  assert.deepEqual(valid('outbound: {proxy: "http://d.example", noProxy: [e.example, .f.example]}', { env }).outbound, {
    httpProxy: 'http://d.example',
    httpsProxy: 'http://d.example',
    noProxy: 'e.example,.f.example',
    caFile: undefined,
  });
});

test('no secret is shown', () => {
  const text = 'upstreams: ["https://user:s3cret@a.example/x"]\noutbound: {proxy: "http://user:s3cr%40et@p.example:1"}\n';
  const shown = formatEffective(valid(text, { env: { HTTP_PROXY: 'user:s3cret@q.example' } }));
  assert.match(shown, /https:\/\/\*\*\*@a\.example\/x/);
  assert.doesNotMatch(shown, /s3cr/);
  const inFault = 'upstreams: ["https://user:s3/cret@a.example", "https://user:s3cret@b.example|x"]';
  assert.doesNotMatch(faults(inFault).join('\n'), /s3/);
});

test('what --check shows is itself a configuration with the same effect', () => {
  const config = valid(
    'listen: 127.0.0.1:9\nupstreams: [https://a.example, direct]\ntls: {caFile: /ca.pem}\npolicy: {rules: [{match: a.example, action: deny, reason: because}]}\nlog: {access: all}\nownDatabase: {name: a.example/2, keyFile: k2, former: [{name: a.example/1, keyFile: k1, sign: private}]}\n',
  );
  assert.deepEqual(valid(formatEffective(config)), config);
});

test('any text is an answer', () => {
  const lines = fc.array(
    fc.oneof(fc.string(), fc.constantFrom('listen:', 'limits: {', '  - a', 'upstreams: [x', '}', '? a', '!!map {}', '&a', '*a', '<<: *a')),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(lines, (texts) => {
      const outcome = load(texts.join('\n'));
      assert.ok(outcome.ok || outcome.faults.length > 0);
    }),
  );
});
