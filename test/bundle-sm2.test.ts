// Bundles that are signed by SM2 with SM3 as well: both signatures count where both are trusted, and no byte of either can be changed by who has one of the keys.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { codeOf, messageOf } from '../src/base/errors.ts';
import { type BundleFile, openBundle, type Sm2Trust } from '../src/bundle/bundle-file.ts';
import { writeBundle } from '../src/bundle/bundle-writer.ts';
import { BUNDLE_KEY_NAME } from '../src/protocol/bundle-head.ts';
import { BUNDLE_SM2_KEY_NAME, signBySm2, splitSm2 } from '../src/protocol/bundle-sm2.ts';
import { parseSignerKey, type SignerKey, signNote } from '../src/protocol/note.ts';
import { generateSm2Key, parseSm2SignerKey, type Sm2SignerKey, sm3 } from '../src/protocol/sm2.ts';
import { goyiIn, outside } from './support/bundle-world.ts';
import type { HubProcess } from './support/hub-process.ts';
import { type SyntheticWorld, startWorld } from './support/synthetic-world.ts';

let world: SyntheticWorld;
let hub: HubProcess;
let signer: SignerKey;
let sm2: Sm2SignerKey;
const path = (name: string): string => join(world.folder, name);
const modules = ['a.example/a@v1.0.0', 'large.example/l@v1.0.0'];

before(async () => {
  world = await startWorld();
  world.publish('a.example/a', 'v1.0.0');
  world.publish('large.example/l', 'v1.0.0', { fillBytes: 200_000 });
  world.database.pad(300);
  hub = await world.hub();
  assert.equal((await outside(world)('key', 'new')).code, 0);
  assert.equal((await create('plain.goyi')).code, 0);
  assert.match((await create('none.goyi', '--sm2')).output, /goyi bundle key new --sm2/);
  const made = await outside(world)('key', 'new', '--sm2');
  assert.equal(made.code, 0, made.output);
  const keyFile = path('data-keys/bundle.key');
  signer = valueOf(parseSignerKey((await readFile(keyFile, 'utf8')).trim()));
  sm2 = valueOf(parseSm2SignerKey((await readFile(`${keyFile}.sm2`, 'utf8')).trim()));
  assert.match(made.output, new RegExp(`^${sm2.verifier.text.replaceAll('+', String.raw`\+`)}$`, 'm'));
  assert.equal((await create('both.goyi', '--sm2')).code, 0);
});

after(async () => {
  await hub?.stop();
  await world?.[Symbol.asyncDispose]();
});

function create(name: string, ...args: readonly string[]): ReturnType<ReturnType<typeof outside>> {
  const created = ['--created', '2026-11-20T08:00:00Z'];
  return outside(world)('create', ...modules, '--out', path(name), '--hub', hub.url, ...created, ...args);
}

function valueOf<T>(outcome: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string }): T {
  if (!outcome.ok) throw new Error(outcome.reason);
  return outcome.value;
}

/** Reads it whole. */
async function read(file: string, trust: Sm2Trust): Promise<BundleFile['sm2']> {
  await using bundle = await openBundle({ file, keys: [signer.verifier], sm2: trust });
  for (const entry of bundle.entries) await bundle.read(entry);
  return bundle.sm2;
}

async function refusal(file: string, trust: Sm2Trust): Promise<string> {
  const error = await read(file, trust).then(
    () => assert.fail(`${file} was taken`),
    (reason: unknown) => reason,
  );
  assert.equal(codeOf(error), 'bundle-invalid', messageOf(error));
  return messageOf(error);
}

const trusting = (required = false): Sm2Trust => ({ keys: [sm2.verifier], required });

test('it is read by who trusts one key and by who trusts both, and made again it has the same bytes', async () => {
  assert.equal((await create('again.goyi')).code, 0);
  assert.ok((await readFile(path('again.goyi'))).equals(await readFile(path('both.goyi'))));
  assert.deepEqual(await read(path('both.goyi'), trusting(true)), {
    key: `${sm2.verifier.name}+${sm2.verifier.hash}`,
    verified: sm2.verifier,
  });
  assert.equal((await read(path('both.goyi'), { keys: [], required: false }))?.verified, undefined);
  assert.equal(await read(path('plain.goyi'), trusting()), undefined);
  assert.match(await refusal(path('plain.goyi'), trusting(true)), /no SM2 signature, which is required/);
  assert.match(await refusal(path('both.goyi'), { keys: [], required: true }), /not trusted here/);
  const stranger = generateSm2Key(BUNDLE_SM2_KEY_NAME).signer.verifier;
  assert.match(await refusal(path('both.goyi'), { keys: [stranger], required: true }), /not trusted here/);
});

test('the list of SM3 digests is right', async () => {
  await using bundle = await openBundle({ file: path('both.goyi'), keys: [signer.verifier], sm2: trusting() });
  const text = (await readFile(path('both.goyi'))).toString('latin1');
  for (const entry of bundle.entries) {
    const digest = createHash('sm3')
      .update(await bundle.read(entry))
      .digest('hex');
    assert.ok(text.includes(`${digest}  ${entry.name}\n`), entry.name);
  }
});

test('one changed bit is refused, by who knows the SM2 key and by who does not', async () => {
  const honest = await readFile(path('both.goyi'));
  const file = path('changed.goyi');
  const positions = fc.oneof(fc.nat(honest.length - 1), fc.nat(6000));
  await fc.assert(
    fc.asyncProperty(positions, fc.integer({ min: 0, max: 7 }), fc.boolean(), async (position, bit, isKnown) => {
      const changed = Buffer.from(honest);
      changed[position] = (changed[position] ?? 0) ^ (1 << bit);
      await writeFile(file, changed);
      await refusal(file, isKnown ? trusting() : { keys: [], required: false });
    }),
    { numRuns: 120 },
  );
});

/** What its note signs. */
function textOf(bytes: Buffer): string {
  const note = bytes.toString('utf8', 512, 512 + Number.parseInt(bytes.toString('latin1', 124, 135), 8));
  return note.slice(0, note.lastIndexOf('\n\n') + 1);
}

/** By who has the Ed25519 key alone, with what they make of the text that it signs. */
async function resigned(name: string, change: (text: string) => string): Promise<string> {
  const bytes = await readFile(path('both.goyi'));
  const again = Buffer.from(signNote(change(textOf(bytes)), signer));
  assert.equal(again.length, Number.parseInt(bytes.toString('latin1', 124, 135), 8), 'it fits into its frame');
  again.copy(bytes, 512);
  await writeFile(path(name), bytes);
  return path(name);
}

test('who has the Ed25519 key alone cannot make it look signed by SM2', async () => {
  assert.equal((await read(await resigned('same.goyi', (text) => text), trusting(true)))?.verified, sm2.verifier);
  const other = await resigned('other.goyi', (text) => text.replace('source http:', 'source ftp::'));
  assert.match(await refusal(other, trusting()), /SM2 signature by goyi-bundle-sm2\+[0-9a-f]{8} is invalid/);
  const digest = await resigned('digest.goyi', (text) => text.replace(/(?<=\nsm3 ).{8}/, '00000000'));
  assert.match(await refusal(digest, trusting()), /invalid/);
  assert.match(await refusal(digest, { keys: [], required: false }), /SM3 digests are not those/);
  const cut = await resigned('malformed.goyi', (text) => text.replace(/\nsm2 /, '\nsm9 '));
  assert.match(await refusal(cut, trusting()), /malformed/);
});

test('a file whose SHA-256 is right and whose SM3 is not is refused', async () => {
  await using honest = await openBundle({ file: path('both.goyi'), keys: [signer.verifier] });
  const files = new Map<string, Buffer>();
  for (const entry of honest.entries) files.set(entry.name, await honest.read(entry));
  const entries = honest.entries.map(({ name, sizeBytes, sha256, carried }) => ({ name, sizeBytes, sha256, carried }));
  const content = { head: honest.head, entries, source: (name: string) => files.get(name) as Buffer };
  const options = { signer, sm2, partBytesMax: undefined, onBytes: () => {} };
  await writeBundle(content, { ...options, file: path('honest.goyi') }, AbortSignal.timeout(10_000));
  assert.ok((await readFile(path('honest.goyi'))).equals(await readFile(path('both.goyi'))));
  // Both signatures are right, and one digest is not: as by a tool that lists something else than it writes.
  const name = 'modules/a.example/a/@v/v1.0.0.info';
  const bytes = await readFile(path('both.goyi'));
  const at = bytes.indexOf(Buffer.from(`  ${name}\n`)) - 64;
  bytes.write('0'.repeat(64), at, 'latin1');
  const list = bytes.subarray(bytes.lastIndexOf('\0', at) + 1, bytes.indexOf('\0', at));
  const length = Number.parseInt(bytes.toString('latin1', 124, 135), 8);
  const { headText, sm2: part } = valueOf(splitSm2(textOf(bytes)));
  assert.ok(part);
  const text = signBySm2(headText, { ...part, sums: sm3(list) }, sm2);
  assert.equal(Buffer.from(signNote(text, signer)).copy(bytes, 512), length);
  await writeFile(path('wrong.goyi'), bytes);
  assert.match(await refusal(path('wrong.goyi'), trusting()), /a\.example\/a\/@v\/v1\.0\.0\.info is not the file that was signed/);
  await read(path('wrong.goyi'), { keys: [], required: false });
});

test('on the command line: both keys are trusted, and SM2 can be required', async () => {
  const goyi = goyiIn(world, 'inside');
  assert.equal((await goyi('key', 'trust', signer.verifier.text)).code, 0);
  const unknown = await goyi('verify', path('both.goyi'));
  assert.equal(unknown.code, 0, unknown.output);
  assert.match(unknown.output, /not trusted here and was not checked/);
  const required = await goyi('import', path('both.goyi'), '--bundles-sm2', 'required');
  assert.equal(required.code, 5, required.output);
  assert.equal((await goyi('key', 'trust', sm2.verifier.text)).code, 0);
  assert.match((await goyi('key', 'trust', sm2.verifier.text)).output, /before/);
  const verified = await goyi('verify', path('both.goyi'), '--bundles-sm2', 'required');
  assert.equal(verified.code, 0, verified.output);
  assert.match(verified.output, /signed by SM2 as well: goyi-bundle-sm2\+/);
  assert.equal((await goyi('verify', path('plain.goyi'), '--bundles-sm2', 'required')).code, 5);
  const imported = await goyi('import', path('both.goyi'), '--bundles-sm2', 'required');
  assert.equal(imported.code, 0, imported.output);
  assert.match((await goyi('imported')).output, /newest was made \d+ days? ago/);
  const alone = await goyi('list', path('both.goyi'), '--key', `${signer.verifier.text},${sm2.verifier.text}`, '--bundles-sm2', 'required');
  assert.equal(alone.code, 0, alone.output);
  const shown = await outside(world)('key', 'show');
  assert.match(shown.output, new RegExp(`^${BUNDLE_KEY_NAME}\\+.*\n${BUNDLE_SM2_KEY_NAME}\\+`));
});
