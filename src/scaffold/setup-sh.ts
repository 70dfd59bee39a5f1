/**
 * The script behind `curl -fsSL HUB/setup.sh | sh`. It runs in any POSIX shell (dash, busybox, bash, zsh as sh) with what every system has, asks nothing,
 * and is one function that is called on the last line, within braces, so that half a download does nothing.
 *
 * What a person set before is kept in a file of undo lines, `NAME=VALUE` or `-NAME` for what was not set; it is written once, before the first
 * change, and put back by `--undo`.
 */
import { type ClientFacts, type ClientProfile, clientProfiles, clientSettings } from './client-settings.ts';
import { netrcPart } from './setup-sh-netrc.ts';
import { profilePart } from './setup-sh-profile.ts';
import { proofPart, type SdkProving } from './setup-sh-proof.ts';
import { sdkPart } from './setup-sh-sdk.ts';

/** A word of the shell that stands for just this text. */
export function shellQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** `proving`: how the SDKs of this hub are proved; undefined where nothing is. */
export function setupScript(facts: ClientFacts, proving?: SdkProving): string {
  const parts = [sdkPart, proofPart(proving), profilePart, netrcPart()].join('\n');
  const filled: Readonly<Record<string, string>> = {
    '@{': '${',
    '@ADDRESS@': shellQuote(facts.address),
    '@SHOWN@': facts.address,
    '@PLANS@': clientProfiles.map((profile) => planOf(profile, facts)).join('\n'),
    '@PROFILES@': clientProfiles.join('|'),
    '@PARTS@': parts.replaceAll('@{', '${'),
  };
  return script.replace(/@(?:\{|[A-Z]+@)/g, (mark) => filled[mark] ?? mark);
}

function planOf(profile: ClientProfile, facts: ClientFacts): string {
  const lines = clientSettings(facts, { profile }).map(
    ({ name, value, why }) => `      set_one ${name} ${shellQuote(value)} ${shellQuote(why.en)} ${shellQuote(why.zh)}`,
  );
  return `    ${profile})\n${lines.join('\n')}\n      ;;`;
}

/** `@{` stands for what the shell writes as a dollar and a brace. */
const script = String.raw`#!/bin/sh
# Sets Go on this machine to work through the hub at @SHOWN@
#   curl -fsSL HUB/setup.sh | sh                      set it up; a second run changes nothing
#   curl -fsSL HUB/setup.sh | sh -s -- --dry-run      only say what would change
#   curl -fsSL HUB/setup.sh | sh -s -- --undo         put back what was there before
#   curl -fsSL HUB/setup.sh | sh -s -- --go latest    install a Go SDK from the hub first
#   curl -fsSL HUB/setup.sh | sh -s -- --help         the other options
set -eu

goyi_setup() {
  hub=@ADDRESS@
  mode=set
  lang=en
  profile=corp
  toolchain=
  flags=
  auth=
  netrc=0
  edit_profiles=1
  wanted_go=
  go=
  case "@{LC_ALL:-@{LC_MESSAGES:-@{LANG:-}}}" in zh*) lang=zh ;; esac
  read_options "$@" || return
  state="@{XDG_STATE_HOME:-$HOME/.local/state}/goyi"
  undo_file="$state/setup.undo"
  sdk_undo="$state/setup-sdk.undo"
  netrc_undo="$state/setup-netrc.undo"
  sdks="$HOME/.goyi/sdk"
  changed=0
  shadowed=0
  case "$mode" in
    undo | dry-undo)
      put_back
      return
      ;;
    dry) say "dry run: nothing is changed" "试运行：不作任何修改" ;;
  esac
  if [ "$netrc" = 1 ]; then prepare_netrc || return; fi
  if [ -n "$wanted_go" ]; then
    install_go "$wanted_go" || return
  fi
  find_go || return 1
  if [ -x "@{go:-}" ]; then say "$("$go" version), settings in $env_file" "$("$go" version)，设置写在 $env_file"; fi
  if [ "$netrc" = 1 ]; then put_netrc || return; fi
  case "$profile" in
@PLANS@
  esac
  [ -z "$toolchain" ] || set_one GOTOOLCHAIN "$toolchain" "you asked for it" "按您的要求"
  [ -z "$flags" ] || set_one GOFLAGS "$flags" "you asked for it" "按您的要求"
  [ -z "$auth" ] || set_one GOAUTH "$auth" "you asked for it" "按您的要求"
  if [ "$netrc" = 1 ]; then look_at_goauth; fi
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

read_options() {
  dry=0
  while [ $# -gt 0 ]; do
    case "$1" in
      --go | --lang | --profile | --toolchain | --goflags | --goauth)
        if [ $# = 1 ] && [ "$1" = --go ]; then set -- --go latest; fi
        if [ $# = 1 ] || [ -z "$2" ]; then
          say "$1 needs a value" "$1 需要一个值" >&2
          usage >&2
          return 2
        fi
        ;;
    esac
    case "$1" in
      --dry-run) dry=1 ;;
      --undo) mode=undo ;;
      --no-profile) edit_profiles=0 ;;
      --go) wanted_go=$2; shift ;;
      --toolchain) toolchain=$2; shift ;;
      --goflags) flags=$2; shift ;;
      --goauth) auth=$2; shift ;;
      --netrc) netrc=1 ;;
      --profile)
        case "|@PROFILES@|" in
          *"|$2|"*) profile=$2; shift ;;
          *) say "there is no profile $2; there are @PROFILES@" "没有配置 $2；可用的有 @PROFILES@" >&2; return 2 ;;
        esac
        ;;
      --lang)
        case "$2" in
          zh | en) lang=$2; shift ;;
          *) say "--lang is zh or en" "--lang 为 zh 或 en" >&2; return 2 ;;
        esac
        ;;
      --help | -h) mode=help ;;
      *) say "there is no option $1" "没有选项 $1" >&2; usage >&2; return 2 ;;
    esac
    shift
  done
  case "$mode$dry" in
    help*) usage; exit 0 ;;
    undo1) mode=dry-undo ;;
    set1) mode=dry ;;
  esac
}

usage() {
  say "options:
  --go VERSION     install a Go SDK from the hub first: latest, stable, oldstable, 1.26 or 1.26.8
  --no-profile     and leave the profiles of the shells alone
  --profile NAME   @PROFILES@: in the company (the default), a network without a way out, outside of it
  --toolchain VALUE, --goflags VALUE, --goauth VALUE
                   set GOTOOLCHAIN, GOFLAGS, GOAUTH as well
  --netrc          let the go command into the hub, by an entry in ~/.netrc (\$NETRC); the token is that
                   in the variable GOYI_TOKEN, or it is asked for
  --dry-run        only say what would change
  --undo           put back what was there before
  --lang zh|en" "选项：
  --go 版本        先从本站安装 Go SDK：latest、stable、oldstable、1.26 或 1.26.8
  --no-profile     不修改 shell 的配置文件
  --profile 名称   @PROFILES@：公司网络（默认）、无外网、公司之外
  --toolchain 值、--goflags 值、--goauth 值
                   同时设置 GOTOOLCHAIN、GOFLAGS、GOAUTH
  --netrc          在 ~/.netrc（\$NETRC）中写入条目，使 go 命令可登录本站；令牌取自变量 GOYI_TOKEN，
                   未设置时会询问
  --dry-run        试运行，只说明会修改什么
  --undo           恢复原来的设置
  --lang zh|en     语言"
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
    if [ "$mode" = dry ] && [ -n "$wanted_go" ]; then
      env_file="@{XDG_CONFIG_HOME:-$HOME/.config}/go/env"
      return 0
    fi
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

@PARTS@
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
  mkdir -p "$state" 2>/dev/null || { not_written "$state"; exit 7; }
  if [ -f "$undo_file" ] && grep -q -e "^$1=" -e "^-$1\$" "$undo_file"; then return 0; fi
  if is_written "$1"; then line="$1=$(written "$1")"; else line="-$1"; fi
  printf '%s\n' "$line" >>"$undo_file" || { not_written "$undo_file"; exit 7; }
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
  if [ ! -f "$undo_file" ] && [ ! -f "$sdk_undo" ] && [ ! -f "$netrc_undo" ]; then
    say "there is nothing to put back" "没有可恢复的设置"
    return 0
  fi
  if [ "$mode" = dry-undo ]; then say "dry run: nothing is changed" "试运行：不作任何修改"; fi
  left=0
  if [ -f "$netrc_undo" ]; then remove_netrc; fi
  if [ -f "$undo_file" ]; then
    find_go || return 1
    while IFS= read -r line; do
      printf '  %s\n' "$line"
      if [ "$mode" = dry-undo ]; then continue; fi
      case "$line" in
        -*) "$go" env -u "@{line#-}" ;;
        *) "$go" env -w "$line" ;;
      esac
    done <"$undo_file"
  fi
  remove_profiles
  if [ -f "$sdk_undo" ]; then remove_sdks; fi
  if [ "$mode" = dry-undo ]; then return "$left"; fi
  rm -f "$undo_file"
  rmdir "$state" 2>/dev/null || true
  if [ "$left" = 0 ]; then say "put back" "已恢复"; fi
  return "$left"
}

# Cut anywhere, this line is none: half of it would be the whole set-up without the options.
{ goyi_setup "$@"; }
`;
