/**
 * The part of `setup.sh` that proves an unpacked SDK as `goyi sdk` does, with nothing but openssl: the signature of the checksum database under the signed
 * tree by the key that stands in the script, the way of hashes from the record to the root of that tree, and the hash over every file that the record
 * names. The proof is the hub's `/dl/FILE.tlog-proof`; what it says is believed only as far as it holds.
 *
 * openssl knows Ed25519 at the command line from 3.0 on. Where it is older, or is LibreSSL, or is not there, the script says that only the SHA-256 of the
 * hub was compared.
 *
 * `@{` stands for what the shell writes as a dollar and a brace. https://c2sp.org/tlog-proof, RFC 9162 §2.1.3.2
 */
import type { VerifierKey } from '../protocol/note.ts';

/** What the script knows of the archives of a hub before it asks for any. */
export interface SdkProving {
  /** Of the checksum database that proves them. */
  readonly key: VerifierKey;
  /** Some may be of the Go project itself, of which no database has a record. */
  readonly isMirrored: boolean;
}

/** Nothing is proved where there is no key. */
export function proofPart(proving: SdkProving | undefined): string {
  const key = proving?.key;
  const origin = proving === undefined || proving.isMirrored ? 'official' : 'toolchain-module';
  const pem = key === undefined ? '' : key.publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
  return script
    .replaceAll('@KEY@', `'${pem}'`)
    .replaceAll('@DATABASE@', `'${key?.name ?? ''}'`)
    .replaceAll('@ORIGIN@', origin);
}

const script = String.raw`
# Below $work/go lies what was unpacked. Sets proved, origin, and what the receipt says. What the hub says of an archive counts only where it may have others
# than those that the database knows, and one of those comes with its proof or not at all: whoever can change the archive can withhold the proof.
prove_go() {
  proved=
  origin=@ORIGIN@
  database=@DATABASE@
  if [ "$origin" = official ] && list_releases && printf '%s' "$list" | tr -d '\n' | tr '{}' '\n\n' | grep -F "\"$name.tar.gz\"" | grep -q toolchain-module; then origin=toolchain-module; fi
  if [ "$origin" = official ] || [ -z "$database" ]; then
    say "compared with the SHA-256 that the hub gives; there is no proof of this archive in a checksum database" \
      "已与本站给出的 SHA-256 比对；校验数据库中没有此归档的证明"
    return 0
  fi
  if ! command -v openssl >/dev/null 2>&1 || ! openssl pkeyutl -help 2>&1 | grep -q -e -rawin; then
    say "compared with the SHA-256 that the hub gives; with openssl 3 it would be proved by $database as well" \
      "已与本站给出的 SHA-256 比对；若有 openssl 3，还可由 $database 证明"
    return 0
  fi
  mkdir "$work/check" || { not_written "$work/check"; return 7; }
  fetch "$hub/dl/$name.tar.gz.tlog-proof" >"$work/check/proof" || {
    say "the hub does not give the proof of $database that it has Go $release on record: nothing was installed; try again later" \
      "本站没有给出 $database 记录了 Go $release 的证明：未安装任何内容，请稍后再试" >&2
    return 6
  }
  if ! (cd "$work/check" && check_proof && check_files); then
    say "the files of Go $release are not those that $database has on record: nothing was installed" "Go $release 的文件与 $database 的记录不符：未安装任何内容" >&2
    return 5
  fi
  record=$(sed -n 's/^index //p' "$work/check/proof")
  tree_size=$(sed -n 2p "$work/check/signed")
  h1=$(recorded_hash "$work/check/record")
  proved=1
  say "proved by record $record of $database" "已由 $database 的第 $record 条记录证明"
}

# The record is in the tree that the database has signed.
check_proof() {
  sed '/^$/,$d' proof >head
  sed '1,/^$/d' proof >note
  sed '/^$/,$d' note >signed
  sed '1,/^$/d' note | awk -v name="$database" '$2 == name { print $3; exit }' | tr -d '\n' | openssl base64 -d -A | tail -c +5 >signature
  printf '%s\n' '-----BEGIN PUBLIC KEY-----' @KEY@ '-----END PUBLIC KEY-----' >key
  openssl pkeyutl -verify -pubin -inkey key -rawin -in signed -sigfile signature >/dev/null 2>&1 || return 1
  size=$(sed -n 2p signed)
  index=$(sed -n 's/^index //p' head)
  case "$size:$index" in :* | *: | *[!0-9:]* | ????????????????????????????????*) return 1 ;; esac
  sed -n 's/^extra //p' head | tr -d '\n' | openssl base64 -d -A >record
  { printf '\000'; cat record; } | openssl dgst -sha256 -binary >node
  last=$((size - 1))
  sed '1,/^index /d' head >hashes
  while IFS= read -r hash; do
    [ "$last" -gt 0 ] || return 1
    printf '%s' "$hash" | openssl base64 -d -A >other
    if [ "$((index % 2))" = 1 ] || [ "$index" = "$last" ]; then
      { printf '\001'; cat other node; } | openssl dgst -sha256 -binary >next
      while [ "$((index % 2))" = 0 ] && [ "$index" != 0 ]; do
        index=$((index / 2))
        last=$((last / 2))
      done
    else
      { printf '\001'; cat node other; } | openssl dgst -sha256 -binary >next
    fi
    mv next node
    index=$((index / 2))
    last=$((last / 2))
  done <hashes
  [ "$last" = 0 ] && [ "$(openssl base64 -A <node)" = "$(sed -n 3p signed)" ]
}

# The files are those that the record is about: their names as in the module, sorted, each with its SHA-256.
check_files() {
  [ -z "$(find ../go ! -type f ! -type d)" ] && [ -z "$(find ../go -name _go.mod)" ] || return 1
  (cd ../go && find . -type f -exec openssl dgst -sha256 -r {} +) >files || return 1
  files_hash=$(awk -v prefix="golang.org/toolchain@$(toolchain_version)/" '{
    file = substr($0, 69)
    if (file == "go.mod") file = "_go.mod"
    sub(/\/go\.mod$/, "/_go.mod", file)
    print $1 "  " prefix file
  }' files | LC_ALL=C sort -k 2 | openssl dgst -sha256 -binary | openssl base64 -A)
  [ "h1:$files_hash" = "$(recorded_hash record)" ]
}

recorded_hash() {
  awk -v version="$(toolchain_version)" '$1 == "golang.org/toolchain" && $2 == version { print $3 }' "$1"
}

# Only in names of archives the 32-bit port of linux-arm is called armv6l.
toolchain_version() {
  printf '%s' "v0.0.1-go$release.$os-$arch" | sed 's/linux-armv6l$/linux-arm/'
}
`;
