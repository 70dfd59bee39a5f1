import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateCosigner } from '../../protocol/cosignature.ts';
import { en } from '../messages/en.ts';
import { formatEffective } from './effective.ts';
import { formatFault } from './faults.ts';
import type { HubConfig } from './hub-config.ts';
import { type ConfigOutcome, loadConfig } from './load.ts';

function load(text: string | undefined, env: Readonly<Record<string, string>> = {}): ConfigOutcome {
  const file = text === undefined ? undefined : { path: '/etc/goyi/goyi.yaml', shown: 'goyi.yaml', text };
  return loadConfig({ file, env, flags: {}, folder: '/srv/typed', cores: 2 });
}

function valid(text: string): HubConfig {
  const outcome = load(text);
  assert.ok(outcome.ok, faults(text).join('\n'));
  return outcome.config;
}

function faults(text: string | undefined, env?: Readonly<Record<string, string>>): string[] {
  const outcome = load(text, env);
  return outcome.ok ? [] : outcome.faults.map((fault) => formatFault(fault, en));
}

const witnessKey = generateCosigner('witness.example/w1', Buffer.alloc(32, 1)).cosigner.key.cosigner.text;

test('witnesses of our own database stand in the file alone', () => {
  const text = `ownDatabase: {name: a.example, witnesses: [{url: "http://127.0.0.1:8090/w/", key: "${witnessKey}"}]}`;
  const config = valid(text);
  assert.deepEqual(config.ownDatabase?.witnesses, [{ url: 'http://127.0.0.1:8090/w', key: witnessKey }]);
  assert.deepEqual(valid(formatEffective(config)), config);
  assert.deepEqual(faults(undefined, { GOYI_OWN_DATABASE_WITNESSES: 'x' }), [
    'GOYI_OWN_DATABASE_WITNESSES: ownDatabase.witnesses: can only be set in the configuration file',
  ]);
});

test('faults of witnesses are told at once', () => {
  const text = `ownDatabase:
  name: a.example
  witnesses:
    - {url: "https://w.example/?x", key: "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"}
    - {url: "https://user:secret@w.example", key: "${witnessKey}"}
    - {url: ftp://w.example}
    - {url: https://w.example, key: "${witnessKey}", name: w}
`;
  const told = faults(text);
  assert.deepEqual(
    told.map((fault) => /ownDatabase\S+/.exec(fault)?.[0]),
    ['0.url', '0.key', '1.url', '2.key', '2.url', '3.name'].map((place) => `ownDatabase.witnesses.${place}:`),
    told.join('\n'),
  );
  assert.match(told[0] ?? '', /address of a witness/);
  assert.match(told[1] ?? '', /key with which the witness cosigns/);
  const twice = `{url: https://w.example, key: "${witnessKey}"}`;
  assert.match(
    faults(`ownDatabase: {name: a.example, witnesses: [${twice}, ${twice}]}`).join(),
    /witnesses\.1\.key: the same key stands here twice/,
  );
  assert.match(
    faults(`ownDatabase: {witnesses: [${twice}]}`).join(),
    /ownDatabase\.witnesses: there is no checksum database without a name/,
  );
  assert.match(faults(`ownDatabase: {name: a.example, witnesses: [${Array.from({ length: 9 }, () => twice).join()}]}`).join(), /at most 8/);
});
