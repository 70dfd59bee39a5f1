// The page at / in a real browser: what it shows in both languages, and that the browser has nothing to complain of, its own policy included.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { findOrInstall } from '../support/debian-package.ts';
import type { HubProcess } from '../support/hub-process.ts';
import { startWorld, type SyntheticWorld } from '../support/synthetic-world.ts';

let world: SyntheticWorld;
let hub: HubProcess;
let chromium: string;

before(async () => {
  chromium = await findOrInstall('chromium', ['chromium']);
  world = await startWorld();
  hub = await world.hub();
});
after(async () => {
  await hub?.stop();
  await world?.[Symbol.asyncDispose]();
});

/** What the browser made of a page, and every line that it wrote to its console. */
function browse(language: string, url: string): Promise<{ readonly dom: string; readonly complaints: readonly string[] }> {
  const args = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--enable-logging=stderr',
    `--user-data-dir=${join(world.folder, 'browser')}`,
  ];
  return new Promise((resolve, reject) => {
    execFile(chromium, [...args, `--accept-lang=${language}`, '--dump-dom', url], { timeout: 120_000 }, (error, stdout, stderr) => {
      if (error !== null) return reject(new Error(`chromium: ${error.message}`, { cause: error }));
      resolve({ dom: stdout, complaints: stderr.split('\n').filter((line) => /CONSOLE|Refused|Content.Security/.test(line)) });
    });
  });
}

const pages = [
  { language: 'en-US', says: ['<html lang="en">', 'Set up your machine', 'All is well.'] },
  { language: 'zh-CN', says: ['<html lang="zh-CN">', '设置您的电脑', '一切正常。'] },
] as const;
for (const { language, says } of pages) {
  test(`a browser in ${language} shows the page and complains of nothing`, async () => {
    const { dom, complaints } = await browse(language, `${hub.url}/`);
    for (const part of [...says, `curl -fsSL ${hub.url}/setup.sh | sh`, `irm ${hub.url}/setup.ps1 | iex`])
      assert.ok(dom.includes(part), part);
    assert.deepEqual(complaints, []);
  });
}

test('a complaint would be seen: this page has a style that its policy does not let in', async () => {
  const page = `<meta http-equiv="Content-Security-Policy" content="default-src 'none'"><style>p{color:red}</style><p>x`;
  const { complaints } = await browse('en-US', `data:text/html,${encodeURIComponent(page)}`);
  assert.notDeepEqual(complaints, []);
});
