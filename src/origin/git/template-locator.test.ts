import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseModulePath } from '../../protocol/module-path.ts';
import { addressOf, createTemplateLocator, type Locate, mirrorOf, templateFault } from './template-locator.ts';

const addresses = [
  { template: 'https://git.corp.example/{repo}.git', root: 'go.corp.example/team/lib', address: 'https://git.corp.example/team/lib.git' },
  {
    template: 'ssh://git@git.corp.example:2222/{repo}.git',
    root: 'git.corp.example/lib.git',
    address: 'ssh://git@git.corp.example:2222/lib.git',
  },
  { template: 'https://h.example/a/{repo}', root: 'x.example/a/$&', address: 'https://h.example/a/a/$&' },
] as const;
for (const { template, root, address } of addresses)
  test(`addressOf(${template}, ${root})`, () => assert.equal(addressOf(template, root), address));

const faults = [
  { template: 'https://git.corp.example/{repo}.git', fault: undefined },
  { template: 'ssh://git@git.corp.example/{repo}', fault: undefined },
  { template: 'http://git.corp.example/{repo}', fault: undefined },
  { template: 'https://git.corp.example/x', fault: /no \{repo\}/ },
  { template: 'git@git.corp.example:{repo}', fault: /no URL|neither/ },
  { template: 'file:///srv/{repo}', fault: /neither/ },
  { template: 'ext::sh -c {repo}', fault: /neither|no URL/ },
  { template: 'git://git.corp.example/{repo}', fault: /neither/ },
  { template: 'https://{repo}/x', fault: /in its host/ },
  { template: 'https://-oProxyCommand=x/{repo}', fault: /no host|no URL/ },
  { template: 'https://bot:secret@git.corp.example/{repo}', fault: /credential/ },
  { template: 'https://bot@git.corp.example/{repo}', fault: /credential/ },
  { template: 'https://git.corp.example/{repo}?x=1', fault: /query/ },
] as const;
for (const { template, fault } of faults) {
  test(`templateFault(${template})`, () => {
    const found = templateFault(template);
    if (fault === undefined) assert.equal(found, undefined);
    else assert.match(found ?? '', fault);
  });
}

function locator(template: string, asked: string[], rootElements?: number): Locate {
  const probe = async (remote: { readonly url: string }): Promise<{ kind: 'found' }> => {
    asked.push(remote.url);
    return { kind: 'found' };
  };
  return createTemplateLocator({ template, credential: undefined, rootElements, probe, isMirrored: async () => false });
}

async function located(locate: Locate, path: string): Promise<{ readonly url: string; readonly mirror: string }> {
  const module = parseModulePath(path);
  assert.ok(module.ok);
  const found = await locate(module.value, { priority: 'waited-for' }, new AbortController().signal);
  return { url: found.url, mirror: mirrorOf(found) };
}

test('no module leads to the home of a user of the machine that serves Git over ssh', async () => {
  const asked: string[] = [];
  for (const path of ['git.corp.example/~bot/lib', 'git.corp.example/~bot', 'git.corp.example/~.git'])
    await assert.rejects(located(locator('ssh://git@git.corp.example/{repo}.git', asked), path), { code: 'not-found', message: /home/ });
  assert.deepEqual(asked, []);
  // Where the server sees it as a name like others, or the operator wants it.
  for (const template of [
    'https://git.corp.example/{repo}',
    'ssh://git@git.corp.example/srv/{repo}',
    'ssh://git@git.corp.example/~git/{repo}',
  ])
    assert.match((await located(locator(template, []), 'git.corp.example/~bot/lib')).url, /\/~bot$/);
});

test('a root that ends in .git and the one that does not have one mirror', async () => {
  const locate = locator('https://git.corp.example/{repo}.git', [], 3);
  const [bare, ended] = [await located(locate, 'git.corp.example/team/lib'), await located(locate, 'git.corp.example/team/lib.git')];
  assert.deepEqual(ended, bare);
  assert.equal(bare.mirror, 'git.corp.example/team/lib');
});
