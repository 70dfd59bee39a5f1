#!/bin/sh
# Writes the vectors of src/protocol/testdata that come from Go's own code. Run with the project's Node and a go command.
set -eu
cd "$(dirname "$0")"
out=../../src/protocol/testdata
node print-cases.ts | go run . verdicts >"$out/zip-verdicts.json"
go run . made >"$out/module-zips.json"
