/**
 * The part of `setup.sh` that installs a Go SDK from the hub where there is none: into the folder and in the layout of `goyi sdk`, checked by the
 * SHA-256 that the hub gives. Whole or not at all: everything happens in a folder of its own, and the last step is a rename.
 *
 * `@{` stands for what the shell writes as a dollar and a brace, as in `setup-sh.ts`.
 */
export const sdkPart: string = String.raw`
# install_go VERSION: 1.26.8, or latest. Sets go.
install_go() {
  case "$(uname -s)" in
    Linux) os=linux ;;
    Darwin) os=darwin ;;
    *) say "there is no SDK here for $(uname -s)" "本站没有适用于 $(uname -s) 的 SDK" >&2; return 1 ;;
  esac
  case "$(uname -m)" in
    x86_64 | amd64) arch=amd64 ;;
    aarch64 | arm64) arch=arm64 ;;
    loongarch64) arch=loong64 ;;
    i?86) arch=386 ;;
    *) arch=$(uname -m) ;;
  esac
  release=$1
  if [ "$release" = latest ]; then
    release=$(fetch "$hub/dl/?mode=json" | tr ',{' '\n\n' | sed -n 's/.*"version": *"go\([0-9.]*\)".*/\1/p' | head -n 1)
    [ -n "$release" ] || { say "the hub lists no Go release" "本站没有列出任何 Go 版本" >&2; return 1; }
  fi
  case "$release" in
    *[!0-9a-z.]* | '') say "$release is no Go release: write one such as 1.26.8, or latest" "$release 不是 Go 版本：请写如 1.26.8 或 latest" >&2; return 2 ;;
  esac
  sdks="$HOME/.goyi/sdk"
  name="go$release.$os-$arch"
  if [ ! -x "$sdks/$name/bin/go" ]; then
    say "Go $release goes to $sdks/$name" "Go $release 将安装到 $sdks/$name"
    if [ "$mode" = dry ]; then return 0; fi
    mkdir -p "$sdks/staging"
    work=$(mktemp -d "$sdks/staging/setup.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM
    fetch "$hub/dl/$name.tar.gz" >"$work/archive" || return 1
    wanted=$(fetch "$hub/dl/$name.tar.gz.sha256") || return 1
    found=$(sha256_of "$work/archive") || return 1
    if [ "$found" != "$wanted" ]; then
      say "the archive of Go $release has the SHA-256 $found, and the hub says $wanted: nothing was installed" \
        "Go $release 归档的 SHA-256 为 $found，而本站给出的是 $wanted：未安装任何内容" >&2
      return 5
    fi
    tar -C "$work" -xzf "$work/archive"
    mv "$work/go" "$sdks/$name"
    rm -rf "$work"
    trap - EXIT INT TERM
  fi
  go="$sdks/$name/bin/go"
  if [ "$mode" = dry ]; then return 0; fi
  ln -sfn "$name" "$sdks/current"
  [ -f "$sdks/env.sh" ] || printf 'unset GOROOT\nexport PATH=%s:"$PATH"\n' "'$sdks/current/bin'" >"$sdks/env.sh"
  say "installed; to have it in every shell, add this line to the shell's profile:  . '$sdks/env.sh'" \
    "已安装；要在每个 shell 中使用，请在 shell 的配置文件中加入一行：. '$sdks/env.sh'"
}

fetch() {
  if command -v curl >/dev/null 2>&1; then curl -fsSL --retry 3 "$1"; else wget -qO- "$1"; fi || {
    say "could not fetch $1" "无法获取 $1" >&2
    return 1
  }
}

sha256_of() {
  if command -v sha256sum >/dev/null 2>&1; then sha256sum "$1" | cut -d' ' -f1
  elif command -v shasum >/dev/null 2>&1; then shasum -a 256 "$1" | cut -d' ' -f1
  elif command -v openssl >/dev/null 2>&1; then openssl dgst -sha256 "$1" | sed 's/.*= *//'
  else say "sha256sum, shasum or openssl is needed to check what is fetched" "需要 sha256sum、shasum 或 openssl 来校验下载内容" >&2; return 1; fi
}
`;
