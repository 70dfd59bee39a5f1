import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type GoRelease,
  compareReleases,
  formatArchiveName,
  isExecutable,
  isStable,
  moduleFileOf,
  parseArchiveName,
  parseGoRelease,
  parseToolchainVersion,
  sdkFileOf,
  toolchainVersion,
} from './go-release.ts';

const release = (text: string): GoRelease => {
  const read = parseGoRelease(text);
  assert.ok(read.ok, text);
  return read.value;
};

for (const text of ['go1.26.8', '1.26.8', 'go1.20', 'go1.20.14', 'go1.21.0', 'go1.27rc2', 'go1.4beta1'])
  test(`${text} is a release`, () => assert.equal(parseGoRelease(text).ok, true));

for (const text of [
  '',
  'go',
  'go2.0.0',
  'go1.21',
  '1.26',
  'go1.26.08',
  'go1.26.8rc1',
  'go1.26.8-custom',
  'go1.26.8\n',
  'go1.99999.1',
  'Go1.26.8',
])
  test(`${JSON.stringify(text)} is no release`, () => assert.equal(parseGoRelease(text).ok, false));

test('releases follow each other as gover.Compare has them', () => {
  const ordered = [
    'go1.20rc1',
    'go1.20',
    'go1.20.14',
    'go1.21beta1',
    'go1.21rc2',
    'go1.21.0',
    'go1.21.9',
    'go1.21.10',
    'go1.26.8',
    'go1.27rc1',
  ];
  const sorted = ordered.toReversed().map(release).sort(compareReleases);
  assert.deepEqual(sorted, ordered);
  assert.deepEqual(
    ordered.filter((text) => !isStable(release(text))),
    ['go1.20rc1', 'go1.21beta1', 'go1.21rc2', 'go1.27rc1'],
  );
});

const archives = [
  { archive: 'go1.26.8.linux-amd64.tar.gz', version: 'v0.0.1-go1.26.8.linux-amd64' },
  { archive: 'go1.26.8.linux-armv6l.tar.gz', version: 'v0.0.1-go1.26.8.linux-arm' },
  { archive: 'go1.26.8.freebsd-arm.tar.gz', version: 'v0.0.1-go1.26.8.freebsd-arm' },
  { archive: 'go1.21.0.windows-arm64.zip', version: 'v0.0.1-go1.21.0.windows-arm64' },
  { archive: 'go1.27rc1.linux-loong64.tar.gz', version: 'v0.0.1-go1.27rc1.linux-loong64' },
] as const;
for (const { archive, version } of archives)
  test(`${archive} is ${version}, and back`, () => {
    const name = parseArchiveName(archive);
    assert.ok(name.ok);
    assert.equal(toolchainVersion(name.value), version);
    assert.deepEqual(parseToolchainVersion(version), name.value);
    assert.equal(formatArchiveName(name.value), archive);
  });

for (const text of [
  'go1.26.8.linux-amd64.zip',
  'go1.26.8.windows-amd64.tar.gz',
  'go1.26.8.src.tar.gz',
  'go1.26.8.linux-amd64.tar.gz.tar.gz',
  '../go1.26.8.linux-amd64.tar.gz',
  '1.26.8.linux-amd64.tar.gz',
  'go1.26.8.LINUX-amd64.tar.gz',
  'go1.26.8.linux-amd64-x.tar.gz',
  'go1.26.linux-amd64.tar.gz',
  'goyi/x',
])
  test(`${text} is no archive`, () => assert.equal(parseArchiveName(text).ok, false));

test('go.mod files change their names on the way, and back', () => {
  assert.equal(sdkFileOf('src/_go.mod'), 'src/go.mod');
  assert.equal(sdkFileOf('_go.mod'), 'go.mod');
  assert.equal(sdkFileOf('src/my_go.mod'), 'src/my_go.mod');
  assert.equal(sdkFileOf('go.mod'), undefined);
  assert.equal(moduleFileOf('src/go.mod'), 'src/_go.mod');
  assert.equal(moduleFileOf('src/_go.mod'), undefined);
});

test('what the go command makes executable', () => {
  const executable = ['bin/go', 'bin/gofmt', 'pkg/tool/linux_amd64/compile', 'lib/wasm/go_js_wasm_exec'];
  const plain = ['src/make.bash', 'lib/wasm/wasm_exec.js', 'src/bin/go', 'lib/go__exec', 'VERSION'];
  assert.deepEqual([...executable, ...plain].filter(isExecutable), executable);
});
