/**
 * The part of `setup.sh` that lets the go command into a hub: `--netrc`, with the block of `netrc.ts` in the netrc file of this user. The token is never an
 * argument of a program, since everybody on the machine sees those, and is shown nowhere.
 *
 * What `--undo` takes back is in a file of lines `HOW PATH`, which `goyi env` reads and writes as well: `made` for a file that was not there, `kept` for
 * one that was, and in the place of `kept` the mode, such as `644`, of one that others could read.
 *
 * `@{` stands for what the shell writes as a dollar and a brace.
 */
import { NETRC_CLOSE, NETRC_OPEN, NETRC_TOKEN_LENGTH_MAX, netrcEntry } from './netrc.ts';

export function netrcPart(): string {
  return script
    .replaceAll('@OPEN@', `'${NETRC_OPEN}'`)
    .replaceAll('@CLOSE@', `'${NETRC_CLOSE}'`)
    .replaceAll('@LENGTH@', String(NETRC_TOKEN_LENGTH_MAX))
    .replaceAll('@ENTRY@', netrcEntry('%s', '%s'));
}

const script = String.raw`
netrc_open=@OPEN@
netrc_close=@CLOSE@

# Before anything is changed. Sets token, which is empty only in a dry run.
prepare_netrc() {
  case "$hub" in
    https://*) ;;
    *)
      say "--netrc: the go command sends no credentials over http, and $hub is no https address: nothing was changed" \
        "--netrc：go 命令不通过 http 发送凭据，而 $hub 不是 https 地址：未作任何修改" >&2
      return 2
      ;;
  esac
  look_at_netrc || return
  token=@{GOYI_TOKEN:-}
  if [ -z "$token" ]; then
    if [ "$mode" = dry ]; then return 0; fi
    ask_token || return
  fi
  if [ "@{#token}" -gt @LENGTH@ ] || ! printf '%s\n' "$token" | LC_ALL=C awk '!/^[A-Za-z0-9._~+\/-]+=*$/ { bad = 1 } END { exit bad || NR != 1 }'; then
    say "this is no token: it has other characters than letters, digits and -._~+/=, or is longer than @LENGTH@; nothing was changed" \
      "这不是令牌：含有字母、数字和 -._~+/= 之外的字符，或长于 @LENGTH@；未作任何修改" >&2
    return 2
  fi
  try_token
}

ask_token() {
  if ! saved=$( (stty -g </dev/tty) 2>/dev/null); then
    say "--netrc needs a token: set the variable GOYI_TOKEN, or run this at a terminal, where it is asked for; nothing was changed" \
      "--netrc 需要令牌：请设置变量 GOYI_TOKEN，或在终端中运行，届时会询问；未作任何修改" >&2
    return 2
  fi
  trap 'stty "$saved" </dev/tty' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  stty -echo </dev/tty
  printf '%s' "$(say "token for $hub (not shown): " "$hub 的令牌（不显示）：")" >/dev/tty
  IFS= read -r token </dev/tty || token=
  stty "$saved" </dev/tty
  trap - EXIT INT TERM HUP
  printf '\n' >/dev/tty
}

# Whoever asks for these settings needs no token, but a wrong one is refused.
try_token() {
  status=
  if command -v curl >/dev/null 2>&1; then
    status=$(printf 'header = "Authorization: Bearer %s"\n' "$token" | curl -s -m 30 -o /dev/null -w '%{http_code}' -K - "$hub/api/v1/client-settings") || status=000
  fi
  case "$status" in
    200) GOYI_TOKEN=$token ;;
    401)
      say "the hub does not take this token: it is wrong, or over, or revoked; nothing was changed" "本站不接受此令牌：它有误、已过期或已吊销；未作任何修改" >&2
      return 4
      ;;
    '') say "the token could not be tried, there being no curl; going on" "没有 curl，无法试用令牌；继续" >&2 ;;
    *) say "the hub could not tell whether it takes this token ($status); going on" "本站未能说明是否接受此令牌（$status）；继续" >&2 ;;
  esac
}

# Sets machine, file, what stands there, and how it is to be left. Fails where another entry names the same machine.
look_at_netrc() {
  find_machine
  file=@{NETRC:-$HOME/.netrc}
  case "$file" in /*) ;; *) file=$PWD/$file ;; esac
  how=made
  former=600
  bounds=
  if [ -e "$file" ]; then
    if [ ! -f "$file" ] || [ ! -r "$file" ]; then
      say "could not read $file" "无法读取 $file" >&2
      return 7
    fi
    find_block || return
    if netrc_rest | names_machine; then
      say "$file has an entry for $machine that is none of ours, and it stays: put the token there, or take the entry out and run this again. No token was written" \
        "$file 中已有 $machine 的条目，并非本脚本所写，保持不变：请将令牌写在那里，或去掉该条目后再运行一次。未写入令牌" >&2
      return 4
    fi
    how=kept
    former=$(mode_of "$file")
    case "$former" in *[4567]? | *[4567]) how=$former ;; esac
  fi
  netrc_mode=$former
  case "$how" in made | kept) ;; *) netrc_mode=600 ;; esac
}

# With go found, which may be an old one. Nothing but the entry is touched.
put_netrc() {
  look_at_netrc || return
  if [ "$netrc_mode" = "$former" ] && [ -n "$bounds" ] && [ "@{bounds% *}" = 0 ] && [ "$(head -c "@{bounds#* }" "$file")" = "$(netrc_block)" ]; then return 0; fi
  changed=1
  say "  $file: machine $machine login goyi password …" "  $file：machine $machine login goyi password …"
  if [ "$netrc_mode" != "$former" ]; then say "    others could read it (mode $former): from now on its mode is 600" "    此文件他人可读（权限 $former）：此后权限为 600"; fi
  if [ "$mode" = dry ]; then return 0; fi
  remember_netrc || { not_written "$netrc_undo"; return 7; }
  write_netrc "$netrc_mode" netrc_with_block || { not_written "$file"; return 7; }
}

# Since Go 1.20 the go command looks for the port as well, where the address has one.
find_machine() {
  machine=@{hub#https://}
  machine=@{machine%%/*}
  if [ ! -x "@{go:-}" ]; then return 0; fi
  case "$(GOTOOLCHAIN=local "$go" version | sed -n 's/^go version go1\.\([0-9]*\).*/\1/p')" in
    [0-9] | 1[0-9]) machine=$(printf '%s' "$machine" | sed 's/:[0-9]*$//') ;;
  esac
}

# Sets bounds, in bytes: empty where there is no block in $file.
find_block() {
  bounds=$(LC_ALL=C awk -v first="$netrc_open" -v last="$netrc_close" '
    $0 == first { starts++; start = at + 0 }
    { at += length($0) + 1 }
    $0 == last { ends++; end = at }
    END {
      if (starts + ends == 0) exit 0
      if (starts != 1 || ends != 1 || end <= start) exit 1
      print start, end
    }' "$file") && return 0
  say "$file: the lines between $netrc_open and $netrc_close have been changed: take them out by hand" \
    "$file：$netrc_open 与 $netrc_close 之间的内容已被改动：请手工去掉" >&2
  return 4
}

netrc_rest() {
  if [ -z "$bounds" ]; then
    if [ -f "$file" ]; then cat "$file"; fi
    return
  fi
  if [ "@{bounds% *}" != 0 ]; then head -c "@{bounds% *}" "$file" || return; fi
  tail -c "+$((@{bounds#* } + 1))" "$file"
}

netrc_block() {
  printf '%s\n@ENTRY@\n%s\n' "$netrc_open" "$machine" "$token" "$netrc_close"
}

netrc_with_block() {
  netrc_block && netrc_rest
}

# Words in any order of lines, comments and macros left out.
names_machine() {
  LC_ALL=C awk -v machine="$machine" '
    in_macro { if ($0 == "") in_macro = 0; next }
    /^[ \t]*#/ { next }
    {
      for (i = 1; i <= NF; i++) {
        word = $i
        sub(/\r$/, "", word)
        if (is_name && word "" == machine "") found = 1
        if (!is_name && word == "macdef") { in_macro = 1; break }
        is_name = !is_name && word == "machine"
      }
    }
    END { exit !found }'
}

mode_of() {
  ls -ldL "$1" | awk '{ for (i = 2; i <= 10; i++) bits = bits * 2 + (substr($1, i, 1) != "-"); printf "%03o", bits; exit }'
}

# The first that was so is the one to put back.
remember_netrc() {
  mkdir -p "$state" 2>/dev/null || return
  if [ -f "$netrc_undo" ] && cut -d ' ' -f 2- "$netrc_undo" | grep -q -x -F -e "$file"; then return 0; fi
  { printf '%s %s\n' "$how" "$file" >>"$netrc_undo"; } 2>/dev/null
}

# write_netrc MODE COMMAND: $file gets what the command prints, the whole of it or nothing, and where a link points to rather than in place of the link.
write_netrc() {
  target=$file
  hops=0
  while [ -L "$target" ] && [ "$hops" -lt 40 ]; do
    link=$(readlink "$target") || return
    case "$link" in /*) target=$link ;; *) target=@{target%/*}/$link ;; esac
    hops=$((hops + 1))
  done
  beside="$target.goyi-$$"
  (
    umask 077
    if [ -f "$target" ]; then cp -p "$target" "$beside" && chmod 600 "$beside" || exit; fi
    "$2" >"$beside" && chmod "$1" "$beside" && mv -f "$beside" "$target"
  ) 2>/dev/null && return 0
  rm -f "$beside" 2>/dev/null
  return 1
}

# An entry that nobody reads would be of no use.
look_at_goauth() {
  value=$auth
  if [ -z "$value" ] && [ -x "@{go:-}" ]; then value=$("$go" env GOAUTH); fi
  case ";$(printf '%s' "$value" | tr -d ' \t');" in ';;' | *';netrc;'*) return 0 ;; esac
  shadowed=1
  say "  WARNING: GOAUTH=$value has no netrc in it, so the go command does not read $file: add --goauth netrc" \
    "  注意：GOAUTH=$value 中没有 netrc，go 命令不会读取 $file：请加上 --goauth netrc" >&2
}

# What cannot be taken out is said, and stays remembered. Sets left to the exit code for that.
remove_netrc() {
  left=0
  while read -r how file; do
    if [ ! -f "$file" ]; then continue; fi
    find_block || { left=4; continue; }
    if [ -z "$bounds" ]; then continue; fi
    say "  $file: the marked block is taken out" "  $file：已去掉带标记的内容"
    if [ "$mode" != undo ]; then continue; fi
    former=$(mode_of "$file")
    case "$how:$former" in
      made:* | kept:*) ;;
      *:600) former=$how ;;
    esac
    write_netrc "$former" netrc_rest || { not_written "$file"; left=7; continue; }
    if [ "$how" = made ] && [ ! -s "$file" ]; then rm -f "$target"; fi
  done <"$netrc_undo"
  if [ "$mode" = undo ] && [ "$left" = 0 ]; then rm -f "$netrc_undo"; fi
}
`;
