import assert from 'node:assert/strict';
import test from 'node:test';
import { en } from '../messages/en.ts';
import { faultsOfPrivateRule, type PrivateRuleTree } from './private.ts';

const url = 'https://git.corp.example/{repo}.git';
const ssh = 'ssh://git@git.corp.example/{repo}.git';
const { config } = en;

const sound: readonly PrivateRuleTree[] = [
  { match: 'git.corp.example/*', git: url },
  { match: 'git.corp.example/*', git: 'http://git.corp.example:3000/{repo}' },
  { match: 'git.corp.example/team/one', git: 'https://git.corp.example/team/one.git', rootElements: 3 },
  { match: 'git.corp.example/*', git: url, mode: 'archive-on-tag', credential: { username: 'bot', passwordEnv: 'CORP_GIT_TOKEN' } },
  { match: 'git.corp.example/*', git: url, credential: { username: 'bot', passwordFile: 'secrets/git' } },
  { match: 'git.corp.example/*', git: ssh, credential: { sshKeyFile: 'keys/id' } },
  { match: 'git.corp.example/*', git: ssh, credential: { sshKeyFile: 'keys/id', knownHostsFile: 'keys/hosts' } },
  { match: 'a.example,b.example/*', uploads: true },
  { match: 'a.example', public: true },
];
for (const rule of sound) test(`sound: ${JSON.stringify(rule)}`, () => assert.deepEqual(faultsOfPrivateRule(rule), []));

const faulty: readonly (readonly [rule: PrivateRuleTree, path: string, sentence: string])[] = [
  [{ match: '[', uploads: true }, 'match', config.badPrivateMatch('pattern "[" is malformed')],
  [{ match: 'a.example' }, '', config.privateWays],
  [{ match: 'a.example', uploads: false }, '', config.privateWays],
  [{ match: 'a.example', uploads: true, public: true }, '', config.privateWays],
  [{ match: 'a.example', uploads: true, mode: 'on-demand' }, 'mode', config.onlyWithGit],
  [{ match: 'a.example', git: 'git.corp.example/{repo}' }, 'git', config.badGitUrl],
  [{ match: 'a.example', git: 'file:///srv/{repo}.git' }, 'git', config.badGitUrl],
  [{ match: 'a.example', git: 'ext::sh -c id' }, 'git', config.badGitUrl],
  [{ match: 'a.example', git: 'https://bot:secret@git.corp.example/{repo}' }, 'git', config.badGitUrl],
  [{ match: 'a.example', git: 'https://git.corp.example/{name}.git' }, 'git', config.badGitUrl],
  [{ match: 'a.example', git: 'https://git.corp.example/../{repo}.git' }, 'git', config.badGitUrl],
  [{ match: 'a.example', git: 'ssh://-oProxyCommand=id/{repo}' }, 'git', config.badGitUrl],
  [{ match: 'a.example', git: 'ssh://-x@git.corp.example/{repo}' }, 'git', config.badGitUrl],
  [{ match: 'a.example', git: url, credential: {} }, 'credential', config.badCredential],
  [{ match: 'a.example', git: url, credential: { username: 'bot' } }, 'credential', config.badCredential],
  [{ match: 'a.example', git: url, credential: { username: 'b', passwordEnv: 'P', sshKeyFile: 'k' } }, 'credential', config.badCredential],
  [
    { match: 'a.example', git: url, credential: { username: 'b', passwordEnv: 'P', passwordFile: 'p' } },
    'credential',
    config.badCredential,
  ],
  [
    { match: 'a.example', git: url, credential: { username: 'b', passwordFile: 'p', knownHostsFile: 'h' } },
    'credential',
    config.badCredential,
  ],
  [{ match: 'a.example', git: ssh, credential: { knownHostsFile: 'h' } }, 'credential', config.badCredential],
  [{ match: 'a.example', git: ssh, credential: { username: 'b', passwordFile: 'p' } }, 'credential.passwordFile', config.passwordOverSsh],
  [{ match: 'a.example', git: ssh, credential: { username: 'b', passwordEnv: 'P' } }, 'credential.passwordEnv', config.passwordOverSsh],
  [{ match: 'a.example', git: url, credential: { sshKeyFile: 'k' } }, 'credential.sshKeyFile', config.keyWithoutSsh],
  [
    { match: 'a.example', git: url, credential: { username: 'b', passwordEnv: 'GOYI_P' } },
    'credential.passwordEnv',
    config.badVariableName,
  ],
  [
    { match: 'a.example', git: url, credential: { username: 'b', passwordEnv: 's3cret!' } },
    'credential.passwordEnv',
    config.badVariableName,
  ],
];
for (const [rule, path, sentence] of faulty) {
  test(`faulty: ${JSON.stringify(rule)}`, () => {
    const found = faultsOfPrivateRule(rule).map((fault) => [fault.path.join('.'), fault.say(en)]);
    assert.deepEqual(found, [[path, sentence]]);
  });
}
