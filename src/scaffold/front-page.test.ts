import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { frontPage, type FrontPageFacts } from './front-page.ts';
import { PAGE_POLICY } from './page.ts';

const facts: FrontPageFacts = {
  address: 'https://goyi.example',
  ownDatabase: undefined,
  privatePatterns: ['*.corp.example'],
  version: '1.2.3',
  verifyOff: false,
  ready: true,
  degraded: [],
  sdks: {
    newest: 'go1.27.4',
    stored: [
      { release: 'go1.26.8', platforms: ['darwin-arm64', 'linux-amd64'] },
      { release: 'go1.25.14', platforms: ['linux-amd64'] },
    ],
    hasOfficial: false,
    executables: ['goyi-linux-x64'],
  },
};

/** The text that a person reads. */
function textOf(page: string): string {
  return page
    .replace(/<style>.*<\/style>/s, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/&#(\d+);/g, (_all, code) => String.fromCodePoint(Number(code)))
    .replace(/\s+/g, ' ');
}

test('the line for the system of the reader comes first, the other one after it', () => {
  const order = (system: 'windows' | 'other'): number[] => {
    const text = textOf(frontPage(facts, { language: 'en', system }));
    return ['curl -fsSL https://goyi.example/setup.sh | sh', 'irm https://goyi.example/setup.ps1 | iex'].map((line) => text.indexOf(line));
  };
  const [shell = -1, windows = -1] = order('other');
  assert.ok(0 < shell && shell < windows);
  const [shellSecond = -1, windowsFirst = -1] = order('windows');
  assert.ok(0 < windowsFirst && windowsFirst < shellSecond);
});

test('who has no Go finds the line that installs it, and which SDKs are here', () => {
  const text = textOf(frontPage(facts, { language: 'en', system: 'other' }));
  assert.match(text, /curl -fsSL https:\/\/goyi\.example\/setup\.sh \| sh -s -- --go latest/);
  assert.match(text, /Here at once: go1\.26\.8 darwin-arm64, linux-amd64 go1\.25\.14 linux-amd64 .*The newest is go1\.27\.4\./);
  assert.match(frontPage(facts, { language: 'zh', system: 'other' }), /<a href="dl\/goyi\/goyi-linux-x64">goyi-linux-x64<\/a>/);
  const none = textOf(
    frontPage(
      { ...facts, sdks: { newest: undefined, stored: [], hasOfficial: false, executables: [] } },
      { language: 'en', system: 'other' },
    ),
  );
  assert.match(none, /None is stored yet/);
  assert.doesNotMatch(textOf(frontPage({ ...facts, sdks: undefined }, { language: 'en', system: 'other' })), /None is stored|Here at once/);
});

test('every setting can be copied, quoted where a shell would expand it', () => {
  const text = textOf(frontPage(facts, { language: 'en', system: 'other' }));
  for (const line of ['GOPROXY=https://goyi.example', 'GOSUMDB=sum.golang.org', 'GONOPROXY=none', `'GONOSUMDB=*.corp.example'`])
    assert.ok(text.includes(`go env -w ${line} `), line);
});

test('Chinese is Chinese and English English', () => {
  const english = textOf(frontPage(facts, { language: 'en', system: 'other' })).replace('驿', '');
  assert.doesNotMatch(english, /\p{Script=Han}/u);
  const page = frontPage(facts, { language: 'zh', system: 'windows' });
  assert.match(page, /<html lang="zh-CN">/);
  assert.doesNotMatch(textOf(page), /\b(?:the|hub|machine|every|module)\b/);
});

const states = [
  { ready: true, degraded: [], says: /All is well\./, mood: 'good' },
  {
    ready: true,
    degraded: ['the upstream <x> does not answer'],
    says: /not everything is as it should be: the upstream <x> does not answer/,
    mood: 'fair',
  },
  {
    ready: false,
    degraded: ['the store cannot be read'],
    says: /cannot serve modules at the moment: the store cannot be read/,
    mood: 'bad',
  },
] as const;
for (const { ready, degraded, says, mood } of states) {
  test(`a hub that is ${mood} says so in a sentence`, () => {
    const page = frontPage({ ...facts, ready, degraded }, { language: 'en', system: 'other' });
    assert.match(textOf(page), says);
    assert.ok(page.includes(`class="health ${mood}"`));
  });
}

test('a hub that verifies nothing warns', () => {
  assert.match(
    textOf(frontPage({ ...facts, verifyOff: true }, { language: 'en', system: 'other' })),
    /Warning: verification is switched off/,
  );
  assert.match(textOf(frontPage({ ...facts, verifyOff: true }, { language: 'zh', system: 'other' })), /警告/);
});

test('whatever the facts hold, it is text on the page', () => {
  const evil = `"><script>alert('1')</script>&`;
  const page = frontPage(
    {
      address: `https://x/${evil}`,
      ownDatabase: { verifierKey: evil, sign: 'all' },
      privatePatterns: [evil],
      version: evil,
      verifyOff: false,
      ready: false,
      degraded: [evil],
      sdks: { newest: evil, stored: [{ release: evil, platforms: [evil] }], hasOfficial: false, executables: [evil] },
    },
    { language: 'en', system: 'other' },
  );
  assert.doesNotMatch(page, /<script/);
  assert.ok(textOf(page).includes(evil));
});

test('the policy lets in the one style of the page, and no script', () => {
  const [, style = ''] = /<style>(.*)<\/style>/s.exec(frontPage(facts, { language: 'en', system: 'other' })) ?? [];
  assert.ok(PAGE_POLICY.includes(`style-src 'sha256-${createHash('sha256').update(style).digest('base64')}';`));
  assert.match(PAGE_POLICY, /^default-src 'none';/);
  assert.doesNotMatch(PAGE_POLICY, /script-src|unsafe|\*/);
  assert.doesNotMatch(frontPage(facts, { language: 'en', system: 'other' }), /\s(?:style|on\w+)=/);
});
