import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { parse } from 'yaml';
import { formatVariables, powerShellQuote, type PrintTarget, printTargets, type Variable } from './print-variables.ts';

const nasty: readonly Variable[] = [
  'https://goyi.example',
  `it's`,
  'a "b" c',
  '$HOME ${HOME} $(id) `id`',
  'back\\slash\\',
  '\\$x \\" \\\'',
  'a,b|c;d&e<f>g#h!i*j?k~l[m]{n}(o)^p=q',
  '100%PATH%%',
  ' blanks  within ',
  '-leading',
  '中文 ‘’‚‛',
  '',
].map((value, index) => ({ name: `GOYI_T${index}`, value }));

function mustFormat(target: PrintTarget, variables: readonly Variable[]): string {
  const text = formatVariables(target, variables);
  assert.ok(text.ok, JSON.stringify(text));
  return text.value;
}

function isHere(command: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${command}`]);
    return true;
  } catch {
    return false;
  }
}

const shells: readonly (readonly [command: string, target: PrintTarget])[] = [
  ['sh', 'bash'],
  ['bash', 'bash'],
  ['dash', 'bash'],
  ['zsh', 'zsh'],
  ['fish', 'fish'],
];
for (const [command, target] of shells.filter(([name]) => isHere(name))) {
  test(`${command} hands every value on to what it starts`, () => {
    const script = `${mustFormat(target, nasty)}${process.execPath} -e 'console.log(JSON.stringify(process.env))'\n`;
    const env = JSON.parse(execFileSync(command, ['-c', script], { env: { HOME: '/nonexistent', LANG: 'C.UTF-8' } }).toString()) as Record<
      string,
      string
    >;
    for (const { name, value } of nasty) assert.equal(env[name], value);
  });
}

test('GitLab and bk-ci read every value; GitLab has its dollars doubled, and bk-ci an object for what is in capitals', () => {
  const gitlab = (parse(mustFormat('gitlab', nasty)) as { variables: Record<string, string> }).variables;
  const bk = (parse(mustFormat('bk', nasty)) as { variables: Record<string, { value: string }> }).variables;
  for (const { name, value } of nasty) {
    assert.equal(gitlab[name]?.replaceAll('$$', '$'), value);
    assert.deepEqual(bk[name], { value });
  }
});

const lines: readonly (readonly [target: PrintTarget, value: string, text: string])[] = [
  ['powershell', `it's ‘odd’`, `$env:V = 'it''s ‘‘odd’’'\n`],
  ['powershell', '$x `n', "$env:V = '$x `n'\n"],
  ['cmd', 'a&b %PATH% ^|', 'set "V=a&b %%PATH%% ^|"\n'],
  ['setx', 'C:\\go\\', 'setx V "C:\\go\\\\"\n'],
  ['systemd', 'a "b" \\ 50% $x', '[Service]\nEnvironment="V=a \\"b\\" \\\\ 50%% $x"\n'],
  ['docker', 'a "b" \\ $x', 'ENV V="a \\"b\\" \\\\ \\$x"\n'],
  ['gitlab', '*:off $x', 'variables:\n  V: "*:off $$x"\n'],
  ['jenkins', `it's \\ $x`, `environment {\n  V = 'it\\'s \\\\ $x'\n}\n`],
  ['bk', '*.corp.example,x', 'variables:\n  V: {value: "*.corp.example,x"}\n'],
];
for (const [target, value, text] of lines)
  test(`${target}: ${value}`, () => assert.equal(mustFormat(target, [{ name: 'V', value }]), text));

test('what cannot be said in a place is refused, and a control character anywhere', () => {
  const refusals: readonly (readonly [PrintTarget, string])[] = [
    ['cmd', 'a"b'],
    ['setx', 'a"b'],
    ['setx', 'x'.repeat(1_025)],
    ['bk', 'a ${{ ci.actor }}'],
    ...printTargets.map((target) => [target, 'a\nb'] as const),
  ];
  for (const [target, value] of refusals) {
    const text = formatVariables(target, [{ name: 'V', value }]);
    assert.equal(text.ok, false, `${target} ${JSON.stringify(value)}`);
    assert.match(text.ok ? '' : text.reason, /\bV\b/);
  }
});

test('a string of PowerShell ends where it should, whatever is in it', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("'", '‘', '’', '‚', '‛', 'a', '$', '`', '"') }), (text) => {
      const inner = powerShellQuote(text).slice(1, -1);
      // PowerShell takes two quotes, of whatever sort, for the first of them.
      assert.equal(inner.replace(/(['\u2018-\u201b])['\u2018-\u201b]/g, '$1'), text);
    }),
  );
});
