/**
 * The part of `setup.sh` that installs a Go SDK from the hub: into the folder and in the layout of `goyi sdk`, with a receipt, so that either goes on with
 * what the other installed. Whole and checked or not at all: everything happens in a folder of its own, and the last step is a rename. What was fetched
 * stays when the line is cut, and the next run goes on with it.
 *
 * Called where `set -e` has no effect, so every step says what follows when it fails. `@{` stands for what the shell writes as a dollar and a brace, as
 * in `setup-sh.ts`.
 */
export const sdkPart: string = String.raw`
# install_go VERSION: 1.26.8, 1.26, latest, stable or oldstable. Sets go.
install_go() {
  find_platform || return
  choose_release "$1" || return
  name="go$release.$os-$arch"
  if [ ! -x "$sdks/$name/bin/go" ]; then
    say "Go $release goes to $sdks/$name" "Go $release 将安装到 $sdks/$name"
    if [ "$mode" = dry ]; then
      say_profiles
      return 0
    fi
    unpack_go || return
    changed=1
  fi
  go="$sdks/$name/bin/go"
  if [ "$mode" = dry ]; then say_profiles; else use_go; fi
}

find_platform() {
  case "$(uname -s)" in
    Linux) os=linux ;;
    Darwin) os=darwin ;;
    *) say "there is no SDK here for $(uname -s)" "本站没有适用于 $(uname -s) 的 SDK" >&2; return 3 ;;
  esac
  case "$(uname -m)" in
    x86_64 | amd64) arch=amd64 ;;
    aarch64 | arm64) arch=arm64 ;;
    armv6l | armv7l | armv8l) arch=armv6l ;;
    loongarch64) arch=loong64 ;;
    i?86) arch=386 ;;
    *) arch=$(uname -m) ;;
  esac
}

choose_release() {
  release=@{1#go}
  case "$release" in
    latest | stable | oldstable | 1.[0-9] | 1.[0-9][0-9]) ;;
    *[!0-9a-z.]* | '' | [!1]* | 1[!.]*)
      say "$1 is no Go release: write one such as 1.26.8, 1.26, or latest" "$1 不是 Go 版本：请写如 1.26.8、1.26 或 latest" >&2
      return 2
      ;;
    *) return 0 ;;
  esac
  line=$release
  list_releases || { not_fetched "$hub/dl/?mode=json&include=all"; return 6; }
  case "$release" in
    latest | stable) line=$(lines_of_releases | head -n 1) ;;
    oldstable) line=$(lines_of_releases | sed -n 2p) ;;
  esac
  asked=$release
  release=$(stable_releases | sed -n "/^$(printf '%s' "$line" | sed 's/\./\\./')\(\.\|\$\)/p" | head -n 1)
  [ -n "$release" ] || { release=$asked; not_there; return 3; }
}

# The newest first. Sets known.
list_releases() {
  list=$(fetch "$hub/dl/?mode=json&include=all") || return
  known=$(printf '%s\n' "$list" | tr ',{' '\n\n' | sed -n "s/.*\"filename\": *\"go\([0-9a-z.]*\)\.$os-$arch\.tar\.gz\".*/\1/p")
}

stable_releases() {
  printf '%s\n' "$known" | grep -v '[a-z]'
}

lines_of_releases() {
  stable_releases | sed 's/^\(1\.[0-9]*\).*/\1/' | uniq
}

# Those of the same line first, then the newest.
not_there() {
  line=$(printf '%s' "$release" | sed 's/^\(1\.[0-9]*\).*/\1/')
  nearest=$({
    printf '%s\n' "$known" | sed -n "/^$(printf '%s' "$line" | sed 's/\./\\./')\([.a-z]\|\$\)/p"
    stable_releases
  } | awk '$0 != "" && !seen[$0]++ && n < 3 { printf "%s%s", n++ ? ", " : "", $0 }')
  if [ -n "$nearest" ]; then
    say "there is no Go $release for $os-$arch; the nearest are $nearest" "没有适用于 $os-$arch 的 Go $release；最接近的是 $nearest" >&2
  else
    say "there is no Go $release for $os-$arch, and this hub has no other" "没有适用于 $os-$arch 的 Go $release，本站也没有其他版本" >&2
  fi
}

unpack_go() {
  if [ -e "$sdks/$name" ]; then
    say "$sdks/$name is there and is no Go SDK: take it away, then run this again" "$sdks/$name 已存在，但不是 Go SDK：请先移走，再运行一次" >&2
    return 4
  fi
  mkdir -p "$sdks/staging" 2>/dev/null && work="$sdks/staging/setup.$$" && mkdir "$work" || { not_written "$sdks"; return 7; }
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  for left in "$sdks/staging"/setup.*[0-9]; do
    kill -0 "@{left##*.}" 2>/dev/null || rm -rf "$left"
  done
  archive="$sdks/staging/setup-$name.tar.gz.part"
  wanted=$(fetch "$hub/dl/$name.tar.gz.sha256" 2>"$work/why") || {
    if list_releases 2>/dev/null && ! printf '%s\n' "$known" | grep -q -x -F -e "$release"; then
      not_there
      return 3
    fi
    cat "$work/why" >&2
    not_fetched "$hub/dl/$name.tar.gz"
    return 6
  }
  case "$wanted" in
    *[!0-9a-f]* | '') say "the hub answers no SHA-256 of Go $release" "本站没有给出 Go $release 的 SHA-256" >&2; return 5 ;;
  esac
  fetch_archive || return
  tar -C "$work" -xzf "$archive" go && [ -x "$work/go/bin/go" ] || { rm -f "$archive"; not_written "$work"; return 7; }
  prove_go || {
    code=$?
    [ "$code" = 6 ] || rm -f "$archive"
    return "$code"
  }
  write_receipt >"$work/go/.goyi-sdk.json" || { not_written "$work"; return 7; }
  remember_sdk "sdk $name" && mv "$work/go" "$sdks/$name" || { not_written "$sdks/$name"; return 7; }
  rm -rf "$work" "$archive"
  trap - EXIT INT TERM HUP
}

# Goes on with what an earlier run has fetched. Other bytes than the promised ones are removed and fetched once more.
fetch_archive() {
  if is_whole; then return 0; fi
  stuck=0
  wrong=0
  while :; do
    size=$(size_of "$archive")
    if go_on "$hub/dl/$name.tar.gz" "$archive"; then
      if is_whole; then return 0; fi
      rm -f "$archive"
      if [ "$wrong" = 1 ]; then
        say "the archive of Go $release has the SHA-256 $found, and the hub says $wanted: nothing was installed" \
          "Go $release 归档的 SHA-256 为 $found，而本站给出的是 $wanted：未安装任何内容" >&2
        return 5
      fi
      wrong=1
      continue
    else
      code=$?
    fi
    # Of curl: the file cannot be written. A full disk is to be as it was.
    if [ "$code" = 23 ]; then rm -f "$archive"; not_written "$archive"; return 7; fi
    if [ "$(size_of "$archive")" -gt "$size" ]; then stuck=0; continue; fi
    stuck=$((stuck + 1))
    if [ "$stuck" = 4 ]; then not_fetched "$hub/dl/$name.tar.gz"; return 6; fi
    # It may be longer than the archive, or the server may know no ranges.
    case "$code" in 22 | 33 | 36 | 8) rm -f "$archive" ;; esac
    sleep 1
  done
}

is_whole() {
  [ -s "$archive" ] && found=$(sha256_of "$archive") && [ "$found" = "$wanted" ]
}

size_of() {
  if [ -f "$1" ]; then wc -c <"$1" | tr -d ' '; else echo 0; fi
}

# So that "goyi sdk" knows it.
write_receipt() {
  printf '{\n  "file": "%s",\n  "sha256": "%s",\n  "origin": "%s",\n' "$name.tar.gz" "$wanted" "$origin"
  [ -z "$proved" ] || printf '  "h1": "%s",\n  "database": "%s",\n  "record": %s,\n  "treeSize": %s,\n' "$h1" "$database" "$record" "$tree_size"
  printf '  "from": "%s",\n  "installedAt": "%s"\n}\n' "$hub" "$(date -u +%Y-%m-%dT%H:%M:%S.000Z)"
}

use_go() {
  remember_sdk "current $(readlink "$sdks/current" 2>/dev/null)" || { not_written "$sdk_undo"; return 7; }
  if [ "$(readlink "$sdks/current" 2>/dev/null)" != "$name" ]; then
    ln -sfn "$name" "$sdks/current" || { not_written "$sdks/current"; return 7; }
    changed=1
  fi
  if [ ! -f "$sdks/env.sh" ]; then
    remember_sdk env
    printf "unset GOROOT\nexport PATH='%s':\"\$PATH\"\n" "$(quote_inside "$sdks/current/bin")" >"$sdks/env.sh" || { not_written "$sdks/env.sh"; return 7; }
  fi
  put_profiles || return
  if [ "$changed" = 1 ]; then say "for this window:  . '$sdks/env.sh'" "在当前窗口中使用：. '$sdks/env.sh'"; fi
}

# remember_sdk "KIND WHAT": what --undo takes back; the first of a kind is the one that counts, and every SDK.
remember_sdk() {
  mkdir -p "$state" 2>/dev/null || return
  if [ -f "$sdk_undo" ]; then
    case "$1" in
      sdk*) ;;
      *) if grep -q "^@{1%% *}" "$sdk_undo"; then return 0; fi ;;
    esac
  fi
  printf '%s\n' "$1" >>"$sdk_undo"
}

# A default that somebody has chosen since then stays.
remove_sdks() {
  former=
  made_env=0
  while read -r kind what; do
    case "$kind" in
      sdk)
        say "  removed: $sdks/$what" "  已删除：$sdks/$what"
        if [ "$mode" = undo ] && [ -n "$what" ]; then rm -rf "$sdks/$what"; fi
        ;;
      current) former=$what ;;
      env) made_env=1 ;;
    esac
  done <"$sdk_undo"
  if [ "$mode" != undo ]; then return 0; fi
  if [ ! -e "$sdks/current" ]; then
    rm -f "$sdks/current"
    if [ -n "$former" ]; then
      ln -s "$former" "$sdks/current"
    elif [ "$made_env" = 1 ]; then
      rm -f "$sdks/env.sh"
    fi
  fi
  rm -f "$sdk_undo"
  rmdir "$sdks/staging" "$sdks" "@{sdks%/sdk}" 2>/dev/null || true
}

not_fetched() {
  say "could not fetch $1" "无法获取 $1" >&2
}

not_written() {
  say "could not write $1: is the disk full, or the folder not yours? Nothing was changed there" "无法写入 $1：磁盘已满，或目录不属于您？该处未作任何修改" >&2
}

# A hub that asks for a token gets GOYI_TOKEN.
authorization() {
  if [ -n "@{GOYI_TOKEN:-}" ]; then printf 'header = "Authorization: Bearer %s"\n' "$GOYI_TOKEN"; fi
}

# It would show a token to everybody on this machine, and send it wherever it is led.
by_wget() {
  if [ -n "@{GOYI_TOKEN:-}" ]; then
    say "GOYI_TOKEN is sent by curl alone: install curl" "GOYI_TOKEN 只通过 curl 发送：请安装 curl" >&2
    return 1
  fi
  wget "$@"
}

fetch() {
  if command -v curl >/dev/null 2>&1; then
    authorization | curl -fsSL --retry 3 -K - "$1"
  else
    by_wget -qO- "$1"
  fi
}

# go_on URL FILE: what is in the file is continued.
go_on() {
  if command -v curl >/dev/null 2>&1; then
    bar=-s
    if [ -t 2 ]; then bar=-#; fi
    authorization | curl -fSL "$bar" -K - -C - -o "$2" "$1"
  else
    by_wget -q -c -O "$2" "$1"
  fi
}

sha256_of() {
  if command -v sha256sum >/dev/null 2>&1; then sha256sum "$1" | cut -d' ' -f1
  elif command -v shasum >/dev/null 2>&1; then shasum -a 256 "$1" | cut -d' ' -f1
  elif command -v openssl >/dev/null 2>&1; then openssl dgst -sha256 "$1" | sed 's/.*= *//'
  else say "sha256sum, shasum or openssl is needed to check what is fetched" "需要 sha256sum、shasum 或 openssl 来校验下载内容" >&2; return 1; fi
}
`;
