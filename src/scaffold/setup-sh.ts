/**
 * The script behind `curl -fsSL HUB/setup.sh | sh`. It runs in any POSIX shell (dash, busybox, bash, zsh as sh) with what every system has, asks nothing,
 * and is one function that is called on the last line, within braces, so that half a download does nothing.
 *
 * What a person set before is kept in a file of undo lines, `NAME=VALUE` or `-NAME` for what was not set; it is written once, before the first
 * change, and put back by `--undo`.
 */
import { type ClientFacts, clientSettings } from './client-settings.ts';
import { sdkPart } from './setup-sh-sdk.ts';

/** A word of the shell that stands for just this text. */
export function shellQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

export function setupScript(facts: ClientFacts): string {
  const plan = clientSettings(facts).map(
    ({ name, value, why }) => `  set_one ${name} ${shellQuote(value)} ${shellQuote(why.en)} ${shellQuote(why.zh)}`,
  );
  const filled: Readonly<Record<string, string>> = {
    '@{': '${',
    '@ADDRESS@': shellQuote(facts.address),
    '@SHOWN@': facts.address,
    '@PLAN@': plan.join('\n'),
    '@SDK@': sdkPart.replaceAll('@{', '${'),
  };
  return script.replace(/@(?:\{|[A-Z]+@)/g, (mark) => filled[mark] ?? mark);
}

/** `@{` stands for what the shell writes as a dollar and a brace. */
const script = String.raw`#!/bin/sh
# Sets Go on this machine to work through the hub at @SHOWN@
#   curl -fsSL HUB/setup.sh | sh                      set it up; a second run changes nothing
#   curl -fsSL HUB/setup.sh | sh -s -- --dry-run      only say what would change
#   curl -fsSL HUB/setup.sh | sh -s -- --undo         put back what was there before
#   curl -fsSL HUB/setup.sh | sh -s -- --go latest    install a Go SDK from the hub first
set -eu

goyi_setup() {
  hub=@ADDRESS@
  mode=set
  lang=en
  wanted_go=
  go=
  case "@{LC_ALL:-@{LC_MESSAGES:-@{LANG:-}}}" in zh*) lang=zh ;; esac
  while [ $# -gt 0 ]; do
    case "$1" in
      --dry-run) mode=dry ;;
      --undo) mode=undo ;;
      --go) shift; wanted_go="@{1:-latest}" ;;
      --lang) shift; lang="@{1:-en}" ;;
      --help | -h) usage; return 0 ;;
      *) say "there is no option $1" "没有选项 $1" >&2; usage >&2; return 2 ;;
    esac
    shift
  done
  if [ -n "$wanted_go" ] && [ "$mode" != undo ]; then
    install_go "$wanted_go" || return
  fi
  find_go || return 1
  state="@{XDG_STATE_HOME:-$HOME/.local/state}/goyi"
  undo_file="$state/setup.undo"
  if [ "$mode" = undo ]; then
    put_back
    return
  fi
  [ "$mode" = dry ] && say "dry run: nothing is changed" "试运行：不作任何修改"
  changed=0
  shadowed=0
  if [ ! -x "@{go:-}" ]; then return 0; fi
  say "$("$go" version), settings in $env_file" "$("$go" version)，设置写在 $env_file"
@PLAN@
  if [ "$changed" = 0 ]; then
    say "everything is set already" "一切均已设置好"
  elif [ "$mode" = set ]; then
    say "done; to put back what was there before:  curl -fsSL $hub/setup.sh | sh -s -- --undo" \
      "完成；恢复原来的设置：curl -fsSL $hub/setup.sh | sh -s -- --undo"
  fi
  case "$hub" in
    http://127.0.0.1* | http://localhost* | "http://[::1]"*)
      say "this is the hub's own machine: the hub remembers which upstream this machine's Go named before, and goes on using it" \
        "这是本站所在的机器：本站记住了此机器的 Go 原来的上游，并继续使用它"
      ;;
  esac
  [ "$shadowed" = 0 ]
}

usage() {
  say "options: --go VERSION, --dry-run, --undo, --lang zh|en" "选项：--go 版本（先安装 Go SDK）、--dry-run（试运行）、--undo（恢复）、--lang zh|en（语言）"
}

# say ENGLISH CHINESE
say() {
  if [ "$lang" = zh ]; then printf '%s\n' "$2"; else printf '%s\n' "$1"; fi
}

find_go() {
  for candidate in "@{go:-}" "$(command -v go 2>/dev/null || true)" "$HOME/.goyi/sdk/current/bin/go" "$HOME/sdk/go/bin/go" /usr/local/go/bin/go; do
    if [ -n "$candidate" ] && [ -x "$candidate" ]; then
      go=$candidate
      break
    fi
  done
  if [ ! -x "@{go:-}" ]; then
    if [ "$mode" = dry ] && [ -n "$wanted_go" ]; then return 0; fi
    say "there is no go command in PATH: run this with --go latest to have one installed from the hub" \
      "PATH 中没有 go 命令：请加上 --go latest，从本站安装一个" >&2
    return 1
  fi
  env_file=$("$go" env GOENV 2>/dev/null || true)
  if [ -z "$env_file" ] || [ "$env_file" = off ]; then
    say "this go command keeps no settings (GOENV is off, or it is older than Go 1.13)" "此 go 命令不保存设置（GOENV 为 off，或早于 Go 1.13）" >&2
    return 1
  fi
}

@SDK@
# What is written in the settings, not what is in effect.
written() {
  [ -f "$env_file" ] || return 0
  sed -n "s/^$1=//p" "$env_file" | tail -n 1
}

is_written() {
  [ -f "$env_file" ] && grep -q "^$1=" "$env_file"
}

# set_one NAME VALUE WHY WHY_IN_CHINESE
set_one() {
  old=$(written "$1")
  if [ "$old" != "$2" ]; then
    changed=1
    printf '  %s\n    %s\n' "$1=$2" "$(say "$3" "$4")"
    [ -z "$old" ] || printf '    %s %s\n' "$(say 'before:' '原为：')" "$old"
    if [ "$mode" = set ]; then
      remember "$1"
      "$go" env -w "$1=$2"
    fi
  fi
  look_for_shadow "$1" "$2"
}

# The first value that was there is the one to put back.
remember() {
  mkdir -p "$state"
  if [ -f "$undo_file" ] && grep -q -e "^$1=" -e "^-$1\$" "$undo_file"; then return 0; fi
  if is_written "$1"; then line="$1=$(written "$1")"; else line="-$1"; fi
  printf '%s\n' "$line" >>"$undo_file"
}

# A variable of the environment goes before what go env -w has written.
look_for_shadow() {
  eval "value=\@{$1-}"
  if [ -z "$value" ] || [ "$value" = "$2" ]; then return 0; fi
  shadowed=1
  say "  WARNING: the environment variable $1=$value goes first; take it out of where it is set:" \
    "  注意：环境变量 $1=$value 优先生效；请从设置它的地方去掉：" >&2
  found=0
  for file in "$HOME/.profile" "$HOME/.bash_profile" "$HOME/.bashrc" "$HOME/.zshenv" "$HOME/.zprofile" "$HOME/.zshrc" \
    "$HOME/.config/fish/config.fish" /etc/environment /etc/profile /etc/profile.d/*.sh /etc/bash.bashrc /etc/zsh/zshenv; do
    [ -f "$file" ] || continue
    if grep -n "$1[= ]" "$file" /dev/null >&2 2>/dev/null; then found=1; fi
  done
  [ "$found" = 1 ] || say "    not found in the usual files; it may come from the program that started this shell" \
    "    常见文件中没有找到；可能来自启动此 shell 的程序" >&2
}

put_back() {
  if [ ! -f "$undo_file" ]; then
    say "there is nothing to put back" "没有可恢复的设置"
    return 0
  fi
  while IFS= read -r line; do
    case "$line" in
      -*) "$go" env -u "@{line#-}" ;;
      *) "$go" env -w "$line" ;;
    esac
    printf '  %s\n' "$line"
  done <"$undo_file"
  rm -f "$undo_file"
  say "put back" "已恢复"
}

# Cut anywhere, this line is none: half of it would be the whole set-up without the options.
{ goyi_setup "$@"; }
`;
