import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inWorkspace, parseGoWork } from './go-work.ts';
import { parseMainGoMod } from './main-go-mod.ts';

const text = `go 1.26

use ./app // the service
use (
	./lib
	"../shared tools"
)

replace old.example/o => new.example/n v1.0.0

replace (
	lost.example/l v1.2.0 => ./lost
)
`;

test('folders and replacements of a workspace', () => {
  const work = parseGoWork(text);
  assert.ok(work.ok);
  assert.deepEqual(work.value.use, ['./app', './lib', '../shared tools']);
  assert.deepEqual(
    [...work.value.replace],
    [
      ['old.example/o', { path: 'new.example/n', version: 'v1.0.0' }],
      ['lost.example/l@v1.2.0', 'folder'],
    ],
  );
});

test('the workspace replaces before its modules do', () => {
  const work = parseGoWork(text);
  const goMod = 'module app.example/a\n\nreplace old.example/o => other.example/x v1.0.0\n\nreplace lib.example/l => x.example/x v1.0.0\n';
  const main = parseMainGoMod(goMod);
  assert.ok(work.ok && main.ok);
  const { replace } = inWorkspace(main.value, work.value);
  assert.deepEqual(replace.get('old.example/o'), { path: 'new.example/n', version: 'v1.0.0' });
  assert.deepEqual(replace.get('lib.example/l'), { path: 'x.example/x', version: 'v1.0.0' });
});
