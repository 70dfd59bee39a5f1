import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressOf, templateFault } from './template-locator.ts';

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
