import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultOf, type GitRemote, type RemoteFault, remoteError } from './git-remote.ts';

const advice = `fatal: Could not read from remote repository.

Please make sure you have the correct access rights
and the repository exists.
`;
const added = "Warning: Permanently added '[127.0.0.1]:13022' (RSA) to the list of known hosts.\r\n";

/** What hosts say over ssh, and git of hosts over http. */
const cases: readonly (readonly [title: string, stderr: string, fault: RemoteFault, says: RegExp])[] = [
  [
    'Gitea, one element',
    `${added}error: \nerror: Invalid repository path\nerror: \n${advice}`,
    'absent',
    /: error: Invalid repository path$/,
  ],
  ['Gitea, several', `error: \nerror: Invalid repo name\nerror: \n${advice}`, 'absent', /Invalid repo name$/],
  ['Gitea, none', `error: \nerror: Cannot find repository: team/lib\nerror: \n${advice}`, 'absent', /Cannot find repository: team\/lib$/],
  [
    'Gitea, no right',
    `error: \nerror: User: 2:bot with Key: 1:k is not authorized to read team/lib.\n${advice}`,
    'refused',
    /not authorized/,
  ],
  ['an unknown key', `git@127.0.0.1: Permission denied (publickey).\n${advice}`, 'refused', /Permission denied/],
  [
    'another host key',
    `@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@\nHost key verification failed.\n${advice}`,
    'refused',
    /REMOTE HOST IDENTIFICATION HAS CHANGED/,
  ],
  ['GitHub', `ERROR: Repository not found.\n${advice}`, 'absent', /not found/],
  ['Gogs', `Gogs: Repository does not exist or you do not have access\n${advice}`, 'absent', /does not exist/],
  ['plain git', `fatal: 'team/lib.git' does not appear to be a git repository\n${advice}`, 'absent', /does not appear/],
  ['Gitea over http', "remote: Not found.\nfatal: repository 'http://127.0.0.1/team.git/' not found\n", 'absent', /Not found/],
  ['a host that is down', `ssh: connect to host git.corp.example port 22: Connection refused\n${advice}`, 'trouble', /Connection refused$/],
  ['nothing', '', 'trouble', /it said nothing$/],
];
const remote: GitRemote = { url: 'ssh://git@git.corp.example/team/lib.git', credential: undefined };
for (const [title, stderr, fault, says] of cases)
  test(`${title}: ${fault}`, () => {
    const result = { code: 128, stdout: Buffer.alloc(0), stderr };
    assert.equal(faultOf(remote, result), fault);
    assert.match(remoteError(remote, result).message, says);
  });
