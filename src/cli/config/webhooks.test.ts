import assert from 'node:assert/strict';
import test from 'node:test';
import { en } from '../messages/en.ts';
import { loadConfig } from './load.ts';

const env = {
  HOOK_SECRET: 'a',
  API_TOKEN: 'b',
  ROBOT_URL: 'https://robot.example/send?access_token=t',
  ROBOT_SECRET: 'c',
  NO_URL: 'robot',
};

const load = (yaml: string): ReturnType<typeof loadConfig> =>
  loadConfig({ file: { path: '/etc/goyi.yaml', shown: 'goyi.yaml', text: yaml }, env, flags: {}, folder: '/', cores: 1 });

test('webhooks and chats, with their defaults, and without any secret', () => {
  const loaded = load(`webhooks:
  hooks:
    - {kind: gitlab, secretEnv: HOOK_SECRET, report: {api: https://gitlab.example/api/v4/, tokenEnv: API_TOKEN}}
    - {kind: gitlab, name: other, secretFile: secrets/gitlab, report: {api: https://gitlab.example/api/v4, tokenFile: /run/token}}
  chat:
    - {kind: dingtalk, urlEnv: ROBOT_URL, secretEnv: ROBOT_SECRET}
    - {kind: wecom, urlEnv: ROBOT_URL, language: en}
`);
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.faults.map(({ say }) => say(en)).join('; '));
  assert.deepEqual(loaded.config.webhooks, {
    hooks: [
      {
        kind: 'gitlab',
        name: 'gitlab',
        secret: { kind: 'variable', name: 'HOOK_SECRET' },
        report: { api: 'https://gitlab.example/api/v4', token: { kind: 'variable', name: 'API_TOKEN' } },
      },
      {
        kind: 'gitlab',
        name: 'other',
        secret: { kind: 'file', file: '/etc/secrets/gitlab' },
        report: { api: 'https://gitlab.example/api/v4', token: { kind: 'file', file: '/run/token' } },
      },
    ],
    chat: [
      { kind: 'dingtalk', urlEnv: 'ROBOT_URL', secretEnv: 'ROBOT_SECRET', language: 'zh' },
      { kind: 'wecom', urlEnv: 'ROBOT_URL', secretEnv: undefined, language: 'en' },
    ],
  });
  const none = load('{}');
  assert.deepEqual(none.ok && none.config.webhooks, { hooks: [], chat: [] });
});

const { config } = en;
const faulty: readonly (readonly [yaml: string, key: string, sentence: string])[] = [
  ['hooks: [{kind: svn, secretEnv: HOOK_SECRET}]', 'webhooks.hooks.0.kind', ''],
  ['hooks: [{kind: github}]', 'webhooks.hooks.0', config.oneSecret(['secretEnv', 'secretFile'])],
  ['hooks: [{kind: github, secretEnv: HOOK_SECRET, secretFile: x}]', 'webhooks.hooks.0', config.oneSecret(['secretEnv', 'secretFile'])],
  [
    'hooks: [{kind: gitea, secretFile: x, report: {api: "https://x"}}]',
    'webhooks.hooks.0.report',
    config.oneSecret(['tokenEnv', 'tokenFile']),
  ],
  ['hooks: [{kind: github, secretEnv: "s3cret!"}]', 'webhooks.hooks.0.secretEnv', config.badVariableName],
  ['hooks: [{kind: github, secretEnv: UNSET}]', 'webhooks.hooks.0.secretEnv', config.variableNotSet('UNSET')],
  ['hooks: [{kind: github, secretEnv: HOOK_SECRET, name: A/B}]', 'webhooks.hooks.0.name', config.badHookName],
  [
    'hooks: [{kind: github, secretEnv: HOOK_SECRET}, {kind: github, secretEnv: HOOK_SECRET}]',
    'webhooks.hooks.1',
    config.hookTwice('github'),
  ],
  ['hooks: [{kind: github, secretEnv: HOOK_SECRET, secret: x}]', 'webhooks.hooks.0.secret', ''],
  [
    'hooks: [{kind: github, secretEnv: HOOK_SECRET, report: {api: "ftp://x", tokenEnv: API_TOKEN}}]',
    'webhooks.hooks.0.report.api',
    config.badReportApi,
  ],
  [
    'hooks: [{kind: codeup, secretEnv: HOOK_SECRET, report: {api: "https://x", tokenEnv: API_TOKEN}}]',
    'webhooks.hooks.0.report',
    config.reportImpossible(['gitee', 'gitlab', 'github', 'gitea', 'forgejo']),
  ],
  ['chat: [{kind: dingtalk, urlEnv: NO_URL}]', 'webhooks.chat.0.urlEnv', config.badChatUrl('NO_URL')],
  ['chat: [{kind: wecom, urlEnv: ROBOT_URL, secretEnv: ROBOT_SECRET}]', 'webhooks.chat.0.secretEnv', config.wecomSecret],
];
for (const [yaml, key, sentence] of faulty)
  test(`faulty: ${yaml}`, () => {
    const loaded = load(`webhooks: {${yaml}}`);
    assert.ok(!loaded.ok);
    const [fault, ...more] = loaded.faults;
    assert.deepEqual([fault?.key, more.length], [key, 0]);
    if (sentence !== '') assert.equal(fault?.say(en), sentence);
  });
