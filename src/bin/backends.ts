import { invariant } from '../base/invariant.ts';
import type { Backends } from '../cli/backends.ts';
import type { AdminBackends } from './admin.ts';

/**
 * What the commands do, on the real parts. Those of `admin` are loaded when asked for, so that the others start sooner.
 * `serve` is left out where the command line does not hold that word.
 */
export function createBackends(process: { version: string; env: NodeJS.ProcessEnv; serve: Backends['serve'] | undefined }): Backends {
  const admin = async (): Promise<AdminBackends> => (await import('./admin.ts')).createAdmin(process);
  return {
    serve: (...args) => {
      invariant(process.serve, 'a command line that asks for a hub is run beside its primary');
      return process.serve(...args);
    },
    scrub: async (...args) => (await admin()).scrub(...args),
    gc: async (...args) => (await admin()).gc(...args),
    forks: async (...args) => (await admin()).forks(...args),
    clearFork: async (...args) => (await admin()).clearFork(...args),
    status: async (...args) => (await admin()).status(...args),
    newToken: async (...args) => (await admin()).newToken(...args),
    tokens: async (...args) => (await admin()).tokens(...args),
    blockedVersions: async (...args) => (await admin()).blockedVersions(...args),
    releaseVersion: async (...args) => (await admin()).releaseVersion(...args),
    revokeToken: async (...args) => (await admin()).revokeToken(...args),
    auditEntries: async (...args) => (await admin()).auditEntries(...args),
    verifyAudit: async (...args) => (await admin()).verifyAudit(...args),
    readKey: async (place) => (await import('./own-keys.ts')).readOwnKey(place),
    makeKey: async ({ dataDir }, place) => (await import('./own-keys.ts')).makeOwnKey(place, dataDir),
    openClient: async (config, hub, token) => (await import('./logs.ts')).openClient(config, hub, { version: process.version, token }),
    openLog: async (config, url, token) => (await import('./logs.ts')).openLog(config, url, { version: process.version, token }),
    auditStored: async (...args) => (await import('./logs.ts')).auditStoredLog(...args),
    makeModuleZip: async (...args) => (await import('./module-zips.ts')).moduleZips.makeModuleZip(...args),
    checkModuleZip: async (...args) => (await import('./module-zips.ts')).moduleZips.checkModuleZip(...args),
    bundles: async () => (await import('./bundles.ts')).createBundleBackends(process.version),
    witness: async (config, { isTerminal }, signal) => (await import('./witness.ts')).runWitness(config, isTerminal, signal),
  };
}
