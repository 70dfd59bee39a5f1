/**
 * The part of `setup.sh` that puts an SDK into the PATH of every new shell: a block between two marked lines, as `marked-block.ts` has it, in the files
 * that the shells of this user read. Put in once, replaced when it says something else, and taken out to the byte.
 *
 * `@{` stands for what the shell writes as a dollar and a brace.
 */
export const profilePart: string = String.raw`
block_open='# >>> goyi sdk >>>'
block_close='# <<< goyi sdk <<<'
made_mark='# made by setup.sh of goyi'

# Lines "SHELL FILE": .profile for logins, what bash reads in its place, and the files of zsh and fish where those are in use.
profiles() {
  printf 'sh %s\n' "$HOME/.profile"
  for file in "$HOME/.bash_profile" "$HOME/.bash_login" "$HOME/.bashrc"; do
    if [ -f "$file" ]; then printf 'sh %s\n' "$file"; fi
  done
  fish="@{XDG_CONFIG_HOME:-$HOME/.config}/fish"
  case "@{SHELL:-}" in
    */zsh) printf 'sh %s\n' "$HOME/.zshenv" ;;
    *) if [ -f "$HOME/.zshrc" ] || [ -f "$HOME/.zprofile" ] || [ -f "$HOME/.zshenv" ]; then printf 'sh %s\n' "$HOME/.zshenv"; fi ;;
  esac
  case "@{SHELL:-}" in
    */fish) printf 'fish %s\n' "$fish/conf.d/goyi-sdk.fish" ;;
    *) if [ -d "$fish" ]; then printf 'fish %s\n' "$fish/conf.d/goyi-sdk.fish"; fi ;;
  esac
}

block_for() {
  if [ "$1" = fish ]; then
    printf "set -e GOROOT\nset -gx PATH '%s' \$PATH\n" "$(printf '%s' "$sdks/current/bin" | sed "s/[\\\\']/\\\\&/g")"
  else
    printf "if [ -r '%s' ]; then . '%s'; fi\n" "$(quote_inside "$sdks/env.sh")" "$(quote_inside "$sdks/env.sh")"
  fi
}

# What stands between two quotes of a POSIX shell.
quote_inside() {
  printf '%s' "$1" | sed "s/'/'\\\\''/g"
}

say_profiles() {
  if [ "$edit_profiles" != 1 ]; then return 0; fi
  profiles | while read -r kind file; do
    if ! has_block "$kind" "$file"; then say "  $file: a marked block that puts $sdks/current/bin first in PATH" "  $file：加入一段带标记的内容，将 $sdks/current/bin 置于 PATH 之首"; fi
  done
}

put_profiles() {
  if [ "$edit_profiles" != 1 ]; then
    say "to have it in every shell, add this line to the shell's profile:  . '$sdks/env.sh'" "要在每个 shell 中使用，请在 shell 的配置文件中加入一行：. '$sdks/env.sh'"
    return 0
  fi
  say_profiles
  files=$(profiles)
  while read -r kind file; do
    if has_block "$kind" "$file"; then continue; fi
    put_block "$kind" "$file" || { not_written "$file"; return 7; }
    changed=1
  done <<END
$files
END
}

has_block() {
  [ -f "$2" ] && [ "$(sed -n "/^$block_open\$/,/^$block_close\$/p" "$2")" = "$block_open
$(block_for "$1")
$block_close" ]
}

put_block() {
  if [ -f "$2" ]; then remove_block "$2" || return; fi
  if [ ! -f "$2" ]; then
    mkdir -p "@{2%/*}" 2>/dev/null && { printf '%s\n' "$made_mark" >"$2"; } 2>/dev/null || return
  fi
  { cat "$2"; printf '\n%s\n%s\n%s\n' "$block_open" "$(block_for "$1")" "$block_close"; } | replace_file "$2"
}

# The line end before the block is ours as well.
remove_block() {
  bounds=$(LC_ALL=C awk -v first="$block_open" -v last="$block_close" '
    BEGIN { start = end = -1 }
    $0 == first && start < 0 { start = at ? at - 1 : 0 }
    { at += length($0) + 1 }
    $0 == last && start >= 0 && end < 0 { end = at }
    END { if (end >= 0) print start, end }' "$1")
  if [ -z "$bounds" ]; then return 0; fi
  {
    if [ "@{bounds% *}" != 0 ]; then head -c "@{bounds% *}" "$1"; fi
    tail -c "+$((@{bounds#* } + 1))" "$1"
  } | replace_file "$1" || return
  if [ "$(cat "$1")" = "$made_mark" ]; then rm -f "$1"; fi
}

# The whole file or none of it, and where a link points to rather than in place of the link.
replace_file() {
  target=$(readlink -f "$1" 2>/dev/null || printf '%s' "$1")
  cp -p "$target" "$target.goyi-$$" 2>/dev/null && cat >"$target.goyi-$$" && mv -f "$target.goyi-$$" "$target" && return 0
  rm -f "$target.goyi-$$"
  return 1
}

remove_profiles() {
  for file in "$HOME/.profile" "$HOME/.bash_profile" "$HOME/.bash_login" "$HOME/.bashrc" "$HOME/.zshenv" "@{XDG_CONFIG_HOME:-$HOME/.config}/fish/conf.d/goyi-sdk.fish"; do
    if [ ! -f "$file" ] || ! grep -q -x -F -e "$block_open" "$file"; then continue; fi
    say "  $file: the marked block is taken out" "  $file：已去掉带标记的内容"
    if [ "$mode" = undo ]; then remove_block "$file" || not_written "$file"; fi
  done
}
`;
