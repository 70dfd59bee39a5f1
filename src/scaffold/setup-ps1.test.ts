// No PowerShell runs here: what can be said of the text without one is said here, and test/full/setup-ps1.test.ts has two grammars of the language parse it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { powerShellSetupScript } from './setup-ps1.ts';

const patterns = ['*.corp.example', "o'dd", '‘typographic’'];
const facts = { address: 'https://goyi.example/a$b', ownDatabase: undefined, privatePatterns: patterns };
const script = powerShellSetupScript(facts);

interface Read {
  /** Code without what stands in strings and comments. */
  readonly code: string;
  /** Brackets that are open at the end; undefined: one closes that was not open. */
  readonly open: string | undefined;
  /** Whether the text ends within a string. */
  readonly inString: boolean;
}

const pairs: Readonly<Record<string, string>> = { ')': '(', ']': '[', '}': '{' };

/** The part of PowerShell's lexical rules that the script needs: comments, both sorts of strings, expressions within strings, brackets. */
function readPowerShell(text: string): Read {
  let code = '';
  let open = '';
  for (let at = 0; at < text.length; ) {
    const rest = text.slice(at);
    const skipped = /^#[^\n]*/.exec(rest) ?? /^'(?:[^']|'')*'/.exec(rest) ?? /^"(?:[^"`]|`.|"")*"/s.exec(rest);
    if (skipped !== null) {
      at += skipped[0].length;
      code += skipped[0].startsWith('#') ? '' : '""';
      continue;
    }
    const character = text[at] ?? '';
    if (character === "'" || character === '"') return { code, open, inString: true };
    if ('([{'.includes(character)) open += character;
    if (pairs[character] !== undefined) {
      if (open.at(-1) !== pairs[character]) return { code, open: undefined, inString: false };
      open = open.slice(0, -1);
    }
    code += character;
    at += 1;
  }
  return { code, open, inString: false };
}

test('the script holds what it was given, quoted, and no mark is left', () => {
  assert.ok(script.includes("$hub = 'https://goyi.example/a$b'"));
  assert.ok(script.includes(`Set-One GONOSUMDB '*.corp.example,o''dd,‘‘typographic’’'`));
  assert.doesNotMatch(script, /@[A-Z]+@|\$\{/);
});

test('every bracket and every string is closed', () => {
  const { open, inString } = readPowerShell(script);
  assert.deepEqual({ open, inString }, { open: '', inString: false });
});

test('a part of it either lacks a bracket, and so does not parse, or calls nothing', () => {
  const call = script.lastIndexOf('if ($true)');
  assert.ok(call > 0 && script.indexOf('Invoke-GoyiSetup -DryRun') > call);
  for (let length = call + 'if ($true)'.length; length < script.trimEnd().length; length += 1) {
    const { open, inString } = readPowerShell(script.slice(0, length));
    // `if ($true)` without its block is an error of its own.
    assert.ok(inString || open !== '' || /if \(\$true\)\s*$/.test(script.slice(0, length)), `after ${length} characters`);
  }
});

test('nothing in it needs PowerShell 7, closes the window of whoever pasted it, or turns what a program says into an error', () => {
  const { code } = readPowerShell(script);
  assert.doesNotMatch(code, /&&|\|\||\?\?|\?\.|\$Is(?:Windows|Linux|MacOS|CoreCLR)\b/);
  assert.doesNotMatch(code, /\bexit\b/);
  assert.doesNotMatch(code, /\d?>&?\d?\s*(?:\$null|\w)/);
});

test('it has the texts of both languages in pairs', () => {
  const says = [...script.matchAll(/\b(?:Say|Text) (?:'((?:[^']|'')*)'|"([^"]*)") (?:'((?:[^']|'')*)'|"([^"]*)")/g)];
  assert.ok(says.length >= 12, `${says.length}`);
  for (const [, english = '', english2 = '', chinese = '', chinese2 = ''] of says) {
    assert.doesNotMatch(english + english2, /\p{Script=Han}/u);
    assert.match(chinese + chinese2, /\p{Script=Han}/u);
  }
});
