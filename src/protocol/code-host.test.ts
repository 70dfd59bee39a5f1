import assert from 'node:assert/strict';
import { test } from 'node:test';
import { knownRepository } from './code-host.ts';

const cases: readonly { readonly module: string; readonly root?: string; readonly url?: string; readonly kind?: 'refused' | 'unknown' }[] =
  [
    { module: 'github.com/owner/name', root: 'github.com/owner/name' },
    { module: 'github.com/owner/name/v2/sub', root: 'github.com/owner/name' },
    { module: 'github.com/owner', kind: 'refused' },
    { module: 'github.com', kind: 'refused' },
    { module: 'github.com/owner/name.git', kind: 'refused' },
    { module: 'github.com/owner/name.hg/x', kind: 'refused' },
    { module: 'github.com/owner/name/~x', kind: 'refused' },
    { module: 'github.company.example/owner/name', kind: 'unknown' },
    { module: 'bitbucket.org/owner/name/sub', root: 'bitbucket.org/owner/name' },
    { module: 'hub.jazz.net/git/user/project/x', root: 'hub.jazz.net/git/user/project' },
    { module: 'hub.jazz.net/git/User/project', kind: 'refused' },
    { module: 'hub.jazz.net/other', kind: 'unknown' },
    { module: 'git.apache.org/name.git/sub', root: 'git.apache.org/name.git' },
    { module: 'git.apache.org/name', kind: 'refused' },
    { module: 'git.openstack.org/team/name/sub', root: 'git.openstack.org/team/name' },
    { module: 'chiselapp.com/user/me/repository/x', kind: 'refused' },
    { module: 'code.example/team/lib.git', root: 'code.example/team/lib.git', url: 'https://code.example/team/lib' },
    { module: 'code.example/team/lib.git/sub/v3', root: 'code.example/team/lib.git', url: 'https://code.example/team/lib' },
    { module: 'code.example/a.git/b.git', root: 'code.example/a.git', url: 'https://code.example/a' },
    { module: 'code.example/~me/lib.git', root: 'code.example/~me/lib.git', url: 'https://code.example/~me/lib' },
    { module: 'code.example/lib.hg', kind: 'refused' },
    { module: 'code.example/lib.svn/x.git', kind: 'refused' },
    { module: 'code.example/lib.git!x', kind: 'unknown' },
    { module: 'code.example/.git', kind: 'unknown' },
    { module: 'code.example/gitlib', kind: 'unknown' },
    { module: 'code.git/lib', kind: 'unknown' },
    { module: 'gopkg.in/yaml.v3', kind: 'unknown' },
    { module: 'a.example', kind: 'unknown' },
  ];

for (const { module, root, url, kind } of cases) {
  test(`knownRepository(${module})`, () => {
    const known = knownRepository(module);
    if (root === undefined) assert.equal(known?.kind ?? 'unknown', kind);
    else assert.deepEqual(known, { kind: 'repository', root, url: url ?? `https://${root}` });
  });
}
