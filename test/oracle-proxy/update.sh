#!/bin/sh
# Writes the vectors of testdata/proxy-rules that come from Go's own code. Run with a go command.
set -eu
cd "$(dirname "$0")"
out=../../testdata/proxy-rules
go build -o "${TMPDIR:-/tmp}/goyi-oracle-proxy" .
oracle="${TMPDIR:-/tmp}/goyi-oracle-proxy"
"$oracle" >"$out/vectors.jsonl"
"$oracle" reasons >"$out/reasons.jsonl"
"$oracle" environments >"$out/environments.jsonl"
rm "$oracle"
