import type { CommandSpec } from './command.ts';
import { flagName } from './config/overrides.ts';
import type { Messages } from './messages/zh.ts';

/** One command as completion needs it; `path` is what is typed to reach it: `goyi admin key`. */
interface Node {
  readonly path: string;
  readonly commands: readonly Word[];
  readonly flags: readonly (Word & { readonly takesValue: boolean })[];
}

interface Word {
  readonly name: string;
  readonly describe: string;
}

export const completionShells = ['bash', 'zsh', 'fish', 'powershell'] as const;
export type CompletionShell = (typeof completionShells)[number];

/** A script that completes commands and flags of the whole tree; where a name of a file may stand, the shell's own completion does it. */
export function completionScript(shell: CompletionShell, commands: readonly CommandSpec[], messages: Messages): string {
  const nodes = nodesOf({ path: 'goyi', commands }, messages);
  switch (shell) {
    case 'bash':
      return bash(nodes);
    case 'zsh':
      return zsh(nodes);
    case 'fish':
      return fish(nodes);
    case 'powershell':
      return powershell(nodes);
  }
}

function nodesOf(
  { path, commands, spec }: { path: string; commands: readonly CommandSpec[]; spec?: CommandSpec },
  messages: Messages,
): readonly Node[] {
  const { help } = messages;
  const own = (spec?.flags ?? []).map(({ flag, describe }) => flagOf(flag, describe(messages)));
  const keys = (spec?.configKeys ?? []).map((key) => ({ name: flagName(key), describe: messages.flags[key] ?? '', takesValue: true }));
  const config = keys.length > 0 ? [{ name: '--config', describe: help.optionConfig, takesValue: true }] : [];
  const common = [
    { name: '--json', describe: help.optionJson, takesValue: false },
    { name: '--lang', describe: help.optionLang, takesValue: true },
    { name: '--help', describe: help.optionHelp, takesValue: false },
  ];
  const words = commands.map(({ name, describe }) => ({ name, describe: describe(messages) }));
  const below = commands.flatMap((one) => nodesOf({ path: `${path} ${one.name}`, commands: one.commands ?? [], spec: one }, messages));
  return [{ path, commands: words, flags: [...own, ...config, ...keys, ...common] }, ...below];
}

/** `--unused-for <duration>` takes a value, `--dry-run` does not. */
function flagOf(flag: string, describe: string): Node['flags'][number] {
  const name = /--[a-z0-9-]+/.exec(flag)?.[0] ?? '';
  return { name, describe, takesValue: flag.includes('<') || flag.includes('[') };
}

/** A word of a POSIX shell, or of fish, that stands for just this text. */
function quoted(text: string): string {
  return `'${text.replaceAll('\\', '').replaceAll("'", '’')}'`;
}

/** In all scripts: the longest path of commands among the words before the cursor. */
function pathCases(nodes: readonly Node[]): string {
  return nodes
    .filter(({ path }) => path !== 'goyi')
    .map(({ path }) => quoted(path))
    .join(' | ');
}

function valueFlags(nodes: readonly Node[]): readonly string[] {
  return [...new Set(nodes.flatMap(({ flags }) => flags.filter(({ takesValue }) => takesValue).map(({ name }) => name)))];
}

function wordsOf({ commands, flags }: Node): string {
  return [...commands, ...flags].map(({ name }) => name).join(' ');
}

function bash(nodes: readonly Node[]): string {
  return `# bash completion of goyi: goyi completion bash > ~/.local/share/bash-completion/completions/goyi
_goyi() {
  local path=goyi words='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path \${COMP_WORDS[i]}" in
      ${pathCases(nodes)}) path="$path \${COMP_WORDS[i]}" ;;
    esac
  done
  COMPREPLY=()
  case "\${COMP_WORDS[COMP_CWORD - 1]}" in
    --lang) words='zh en' ;;
    ${valueFlags(nodes)
      .filter((name) => name !== '--lang')
      .join(' | ')}) return ;;
    *)
      case "$path" in
${nodes.map((node) => `        ${quoted(node.path)}) words='${wordsOf(node)}' ;;`).join('\n')}
      esac
      ;;
  esac
  local word
  for word in $words; do
    case "$word" in
      "\${COMP_WORDS[COMP_CWORD]}"*) [[ $word == --* && \${COMP_WORDS[COMP_CWORD]} != -* ]] || COMPREPLY+=("$word") ;;
    esac
  done
}
complete -o default -F _goyi goyi
`;
}

function zsh(nodes: readonly Node[]): string {
  const list = (words: readonly Word[]): string =>
    words.map(({ name, describe }) => quoted(`${name}:${describe.replaceAll(':', ' ')}`)).join(' ');
  return `#compdef goyi
# zsh completion of goyi: goyi completion zsh > "\${fpath[1]}/_goyi"
_goyi() {
  local route=goyi i
  local -a subs flags
  for ((i = 2; i < CURRENT; i++)); do
    case "$route \${words[i]}" in
      ${pathCases(nodes)}) route="$route \${words[i]}" ;;
    esac
  done
  case "\${words[CURRENT - 1]}" in
    --lang) subs=(zh en); _describe language subs; return ;;
    ${valueFlags(nodes)
      .filter((name) => name !== '--lang')
      .join(' | ')}) _files; return ;;
  esac
  case "$route" in
${nodes.map((node) => `    ${quoted(node.path)}) subs=(${list(node.commands)}); flags=(${list(node.flags)}) ;;`).join('\n')}
  esac
  if [[ \${words[CURRENT]} == -* ]]; then
    _describe option flags
  elif (( \${#subs} )); then
    _describe command subs
  else
    _files
  fi
}
if [[ \${zsh_eval_context[-1]} == loadautofunc ]]; then _goyi "$@"; else compdef _goyi goyi; fi
`;
}

function fish(nodes: readonly Node[]): string {
  const lines = nodes.flatMap(({ path, commands, flags }) => {
    const at = `-n ${quoted(`__goyi_at ${path}`)}`;
    return [
      ...commands.map(({ name, describe }) => `complete -c goyi -f ${at} -a ${name} -d ${quoted(describe)}`),
      ...flags.map(
        ({ name, describe, takesValue }) => `complete -c goyi ${at} -l ${name.slice(2)}${takesValue ? ' -r' : ''} -d ${quoted(describe)}`,
      ),
    ];
  });
  return `# fish completion of goyi: goyi completion fish > ~/.config/fish/completions/goyi.fish
function __goyi_at
  set -l route goyi
  for word in (commandline -opc)[2..-1]
    switch "$route $word"
      case ${nodes
        .filter(({ path }) => path !== 'goyi')
        .map(({ path }) => quoted(path))
        .join(' ')}
        set route "$route $word"
    end
  end
  test "$route" = "$argv"
end
${lines.join('\n')}
`;
}

function powershell(nodes: readonly Node[]): string {
  const entry = ({ name, describe }: Word): string => `@{ name = ${quoted(name)}; describe = ${quoted(describe)} }`;
  const tables = nodes.map(
    ({ path, commands, flags }) => `  ${quoted(path)} = @(\n${[...commands, ...flags].map((word) => `    ${entry(word)}`).join('\n')}\n  )`,
  );
  return `# PowerShell completion of goyi: goyi completion powershell | Out-String | Invoke-Expression
$GoyiWords = @{
${tables.join('\n')}
}
Register-ArgumentCompleter -Native -CommandName goyi -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $path = 'goyi'
  foreach ($element in ($commandAst.CommandElements | Select-Object -Skip 1)) {
    $next = "$path $element"
    if ($element.Extent.EndOffset -lt $cursorPosition -and $GoyiWords.ContainsKey($next)) { $path = $next }
  }
  $GoyiWords[$path] |
    Where-Object { $_.name.StartsWith($wordToComplete) } |
    ForEach-Object { [System.Management.Automation.CompletionResult]::new($_.name, $_.name, 'ParameterValue', $_.describe) }
}
`;
}
