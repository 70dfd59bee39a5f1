// Runs before every npm script and brings node_modules to what package-lock.json says, so that `npm start` and `npm test`
// work from a clean clone with no other command. It may be run by a Node far older than the one goyi needs: plain
// built-ins only. Everything it prints goes to stderr, because the script behind it may print one exact line.
import { spawn, spawnSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NODE_MAJOR_MIN = 24;
const WAIT_MAX_MS = 10 * 60_000;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stampFile = join(root, 'node_modules', '.goyi-setup.json');
const lockRoot = join(root, '.tools');
const lockDir = join(lockRoot, 'setup.lock');

process.exitCode = await main();

async function main() {
  let stamp = readStamp();
  if (stamp === undefined) {
    if (!(await takeLock())) return 1;
    try {
      // Another process may have done the work while this one waited for the lock.
      stamp = readStamp();
      if (stamp === undefined) {
        const status = await install();
        if (status !== 0) return status;
        stamp = readStamp();
      }
    } finally {
      dropLock();
    }
  }
  return checkNode(stamp);
}

/** What identifies an installed tree. Changed by every change of the lock file and of the machine's kind. */
function wantedTree() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  return { lock, platform: process.platform, arch: process.arch };
}

/** The stamp of the installed tree, or undefined when that is not the tree wanted. npm removes it together with node_modules. */
function readStamp() {
  try {
    const stamp = JSON.parse(readFileSync(stampFile, 'utf8'));
    const wanted = wantedTree();
    return Object.keys(wanted).every((key) => stamp[key] === wanted[key]) ? stamp : undefined;
  } catch (error) {
    if (error.code === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function install() {
  const npm = npmCommand();
  if (npm === undefined) return complain('run this through npm, for example: npm start', '请通过 npm 运行，例如：npm start');
  const startMs = Date.now();
  const wanted = wantedTree();
  say('installing the packages of package-lock.json (npm ci) …');
  const args = [
    ...npm.args,
    'ci',
    '--include=dev',
    '--include=optional',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ];
  const status = await run(npm.file, args);
  if (status !== 0) {
    return complain(
      `npm ci failed (${status}), for the reason above; once that is mended (can npm reach its registry?), run the same command again`,
      'npm ci 失败，原因见上；排除之后（例如确认能访问 npm 源），重新运行同一条命令',
    );
  }
  const pinned = keepRunnableNode();
  writeFileSync(stampFile, `${JSON.stringify({ ...wanted, pinned })}\n`);
  say(`installed in ${((Date.now() - startMs) / 1000).toFixed(1)} s`);
  return 0;
}

/** The npm that runs this script, started by its own Node: the one in node_modules is about to be replaced. */
function npmCommand() {
  const cli = process.env.npm_execpath;
  if (cli !== undefined && /\bnp[mx]-cli\.c?js$/.test(cli)) {
    return { file: process.env.npm_node_execpath ?? process.execPath, args: [cli.replace(/npx-cli/, 'npm-cli')] };
  }
  return process.platform === 'win32' ? undefined : { file: 'npm', args: [] };
}

function run(file, args) {
  return new Promise((resolve) => {
    const child = spawn(file, args, { cwd: root, stdio: ['ignore', 2, 2] });
    child.once('error', (error) => {
      say(error.message);
      resolve(1);
    });
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 1));
  });
}

/**
 * Says whether npm scripts will find a pinned Node that runs here. A package may exist for this system and still not run
 * on it (another C library, an older one): then its command is removed, so that the system's Node serves.
 */
function keepRunnableNode() {
  const bin = join(root, 'node_modules', '.bin');
  if (!existsSync(bin)) return false;
  const commands = readdirSync(bin).filter((name) => /^node(\.cmd|\.ps1|\.exe)?$/.test(name));
  if (commands.length === 0) return false;
  const started = spawnSync(
    process.platform === 'win32' ? (process.env.ComSpec ?? 'cmd.exe') : join(bin, 'node'),
    process.platform === 'win32' ? ['/d', '/c', join(bin, 'node.cmd'), '--version'] : ['--version'],
    {
      timeout: 30_000,
      stdio: 'ignore',
    },
  );
  if (started.status === 0) return true;
  for (const name of commands) rmSync(join(bin, name), { force: true });
  return false;
}

function checkNode(stamp) {
  if (stamp?.pinned === true || Number(process.versions.node.split('.')[0]) >= NODE_MAJOR_MIN) return 0;
  const machine = `${process.platform}/${process.arch}`;
  return complain(
    `goyi needs Node ${NODE_MAJOR_MIN} or newer, this is ${process.versions.node}, and no ready-made Node package runs on this ${machine} machine: install a newer Node, then run the same command again`,
    `goyi 需要 Node ${NODE_MAJOR_MIN} 或更高版本，当前为 ${process.versions.node}；本机（${machine}）没有可用的预制 Node 包：请先安装新版 Node，再运行同一条命令`,
  );
}

/**
 * One process at a time: the lock folder appears whole, with its owner inside, by a rename, which fails while there is one.
 * A dead owner's lock is removed by whoever first makes the folder named after that very lock, so two cannot both remove.
 */
async function takeLock() {
  const token = `${process.pid}-${randomUUID()}`;
  const mine = join(lockRoot, `setup.${token}`);
  mkdirSync(mine, { recursive: true });
  writeFileSync(join(mine, 'owner'), token);
  const deadlineMs = Date.now() + WAIT_MAX_MS;
  let told = false;
  try {
    for (;;) {
      try {
        renameSync(mine, lockDir);
        return true;
      } catch (error) {
        if (!['ENOTEMPTY', 'EEXIST', 'EPERM', 'EACCES', 'EBUSY'].includes(error.code)) throw error;
        if (!existsSync(lockDir) && ['EPERM', 'EACCES'].includes(error.code) && process.platform !== 'win32') throw error;
      }
      removeIfDead();
      if (Date.now() > deadlineMs)
        return (
          complain(
            `another set-up does not end; if none is running, remove ${lockDir}`,
            `另一个安装进程一直未结束；若确无其他进程，请删除 ${lockDir}`,
          ) === 0
        );
      if (!told && existsSync(lockDir)) {
        told = true;
        say('waiting for another process that installs the packages …');
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  } finally {
    rmSync(mine, { recursive: true, force: true });
  }
}

function removeIfDead() {
  const token = lockOwner();
  if (token === undefined || isAlive(Number(token.split('-')[0]))) return;
  const claim = join(lockRoot, `setup.dead.${token}`);
  try {
    mkdirSync(claim);
  } catch (error) {
    if (error.code === 'EEXIST') return;
    throw error;
  }
  if (lockOwner() === token) dropLock();
  rmSync(claim, { recursive: true, force: true });
}

/** The lock goes as it came, by one rename: emptied file by file it would for a moment be an empty folder, which a waiter's rename replaces. */
function dropLock() {
  const gone = join(lockRoot, `setup.gone.${randomUUID()}`);
  renameSync(lockDir, gone);
  rmSync(gone, { recursive: true, force: true });
}

function lockOwner() {
  try {
    return readFileSync(join(lockDir, 'owner'), 'utf8');
  } catch {
    return undefined;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function complain(english, chinese) {
  say(english);
  say(chinese);
  return 1;
}

function say(sentence) {
  process.stderr.write(`goyi: ${sentence}\n`);
}
