import { userInfo } from 'node:os';
import { HubError } from '../base/errors.ts';
import type { AccessBackends } from '../cli/access-backends.ts';
import type { HubConfig } from '../cli/config/hub-config.ts';
import { RELEASE_JOB } from '../hub/job-kinds.ts';
import { verifyTrail } from '../hub/verify-trail.ts';
import type { AuditEntry } from '../meta/audit-trail.ts';
import type { Metadata } from '../meta/metadata.ts';
import { hashAccessToken, newAccessToken } from '../protocol/access-token.ts';

const PAGE_MAX = 1_000;
const BLOCKED_MAX = 10_000;

/** The commands about tokens and the audit trail, beside a running hub or without one. */
export function createAccessCommands(open: (config: HubConfig) => Promise<Metadata>): AccessBackends {
  return {
    async newToken(config, { name, grants, groups, expiresAtMs }) {
      await using metadata = await open(config);
      const secret = newAccessToken();
      const createdAtMs = Date.now();
      const rights = [...grants, ...groups.map((group) => `group ${group}`)].join(' ');
      const expires = expiresAtMs === undefined ? 'never expires' : `until ${new Date(expiresAtMs).toISOString()}`;
      const told = entryOf('token.new', name, `${expires}: ${rights}`, createdAtMs);
      const isMade = await metadata.addAccessToken({ name, grants, groups, createdAtMs, expiresAtMs, hash: hashAccessToken(secret) }, told);
      return isMade ? secret : undefined;
    },

    async tokens(config) {
      await using metadata = await open(config);
      const tokens: Awaited<ReturnType<AccessBackends['tokens']>>[number][] = [];
      for (let after = 0; ; ) {
        const page = await metadata.accessTokens(after, PAGE_MAX);
        tokens.push(...page.map(({ hash: _hash, id: _id, ...token }) => token));
        const last = page.at(-1);
        if (last === undefined || page.length < PAGE_MAX) return tokens;
        after = last.id;
      }
    },

    async blockedVersions(config) {
      await using metadata = await open(config);
      return (await metadata.blockedVerdicts(BLOCKED_MAX)).map(({ module, version, reason, decidedAtMs }) => ({
        module,
        version,
        reason,
        decidedAtMs,
      }));
    },

    async releaseVersion(config, { path, version, reason }) {
      await using metadata = await open(config);
      const nowMs = Date.now();
      const told = entryOf('policy.override', `${path}@${version}`, reason, nowMs);
      if (!(await metadata.releaseVerdict({ module: path, version, releasedFor: reason }, nowMs, told))) return false;
      await metadata.addJob({ kind: RELEASE_JOB, key: `${path}@${version}`, payload: JSON.stringify({ path, version }) }, { nowMs });
      return true;
    },

    async revokeToken(config, name) {
      await using metadata = await open(config);
      return await metadata.revokeAccessToken(name, entryOf('token.revoke', name, '', Date.now()));
    },

    async auditEntries(config, { sinceMs, onEntries }, signal) {
      await using metadata = await open(config);
      for (let after = 0; ; ) {
        if (signal.aborted) throw new HubError('canceled', 'interrupted');
        const page = await metadata.auditEntries(after, PAGE_MAX);
        onEntries(page.filter(({ atMs }) => atMs >= sinceMs));
        const last = page.at(-1);
        if (last === undefined) return;
        after = last.id;
      }
    },

    async verifyAudit(config, request, signal) {
      await using metadata = await open(config);
      return await verifyTrail(metadata, request, signal);
    },
  };
}

function entryOf(act: string, subject: string, detail: string, atMs: number): AuditEntry {
  return { act, subject, detail, atMs, actor: `command line, user ${userName()}`, count: 1 };
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // Of a container's user without an entry there is a number alone.
    return String(process.getuid?.() ?? '-');
  }
}
