/** The entry of a worker process: one replica of the hub, told everything by its primary and ending with it. */
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../base/clock.ts';
import { codeOf, HubError, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { HubConfig } from '../cli/config/hub-config.ts';
import { VulnerabilityShelf } from '../hub/vulnerability-shelf.ts';
import { Executables } from '../hub/executables.ts';
import { splitPatterns } from '../protocol/module-pattern.ts';
import { createHubServer, type HubServer, type TlsMaterial } from '../server/http-server.ts';
import { aggregate, createTelemetry, type MetricsSnapshot, type Telemetry } from '../server/telemetry.ts';
import { openAccess, sendsInClear } from './access.ts';
import { collectWhenIdle } from './idle-collection.ts';
import { manual } from './manual.ts';
import { publicFacts, readOwnSigners } from './own-keys.ts';
import { openProcessLog } from './process-log.ts';
import { openSdkProofs } from './sdk-proofs.ts';
import { type WiredHub, wireHub } from './wire-hub.ts';
import type { WiredWebhooks } from './wire-webhooks.ts';
import type { FromWorker, ToWorker, WorkerStart } from './worker-messages.ts';

/** Without its primary a worker would keep the port: it finishes nothing and goes. */
const orphanMs = 500;
const snapshotsMs = 3_000;

class HubWorker {
  readonly #start: WorkerStart;
  readonly #log: Log;
  readonly #telemetry: Telemetry;
  readonly #wanted = new Map<number, (snapshots: readonly MetricsSnapshot[]) => void>();
  #collection = 0;
  #hub: WiredHub | undefined;
  #access: AsyncDisposable | undefined;
  #webhooks: AsyncDisposable | undefined;
  #server: HubServer | undefined;

  constructor(start: WorkerStart) {
    this.#start = start;
    this.#log = openProcessLog(start.config.log, start.isTerminal);
    this.#telemetry = createTelemetry({ log: this.#log, version: start.version, verify: start.config.verify });
  }

  async begin(): Promise<void> {
    const { config, upstreams, version, first } = this.#start;
    const signers = await readOwnSigners(config);
    const hub = await wireHub(config, upstreams, { events: this.#telemetry.events, log: this.#log, version, env: process.env, signers });
    this.#hub = hub;
    this.#telemetry.watchStore(() => hub.metadata.totals());
    hub.watchQueues((queue, depth) => this.#telemetry.watchQueue(queue, depth));
    const access = await openAccess(config, { metadata: hub.metadata, client: hub.client, log: this.#log });
    this.#access = access;
    const webhooks = await this.#wireWebhooks(config, hub);
    this.#webhooks = webhooks;
    if (webhooks !== undefined) this.#telemetry.watchQueue('jobs', webhooks.running);
    const server = createHubServer({
      station: hub.station,
      sdks: hub.sdks,
      executables: new Executables(hub.store),
      sdkProofs: openSdkProofs(config, hub),
      manual,
      vulnerabilities: new VulnerabilityShelf(hub),
      hooks: webhooks?.hooks,
      databases: hub.databases,
      ownDatabase: publicFacts(signers),
      access,
      names: hub.names,
      privatePatterns: config.private.flatMap(({ match, home }) => (home.kind === 'public' ? [] : splitPatterns(match))),
      tls: await readTls(config),
      limits: { connectionsMax: config.limits.connectionsMax, headerMs: config.limits.headerMs },
      handOver: config.handOver,
      trustedProxies: config.access.trustedProxies,
      telemetry: this.#telemetry.server,
      accessLog: config.log.access,
      log: this.#log,
      clock: systemClock,
      version,
      verifyOff: config.verify === 'off',
      publicUrl: config.publicUrl,
      metricsText: async () => aggregate(await this.#allSnapshots()),
    });
    this.#server = server;
    this.#telemetry.watchQueue('connections', () => server.connections);
    this.#telemetry.watchQueue('waiting', () => server.waiting);
    const port = await listen(server, config);
    tell({ kind: 'listening', port });
    collectWhenIdle({ onIdle: () => server.releaseMemory(), onRest: () => hub.station.releaseMemory() });
    if (first && sendsInClear(config) && (await access.logIns.isClosed()))
      this.#log.warn(
        'tokens are not taken from other machines until there is TLS: set tls, or publicUrl to the https address in front of the hub',
      );
    const results = await hub.probe();
    if (first) tell({ kind: 'probed', results });
  }

  /** Loaded by a hub that has some. */
  async #wireWebhooks(config: HubConfig, hub: WiredHub): Promise<WiredWebhooks | undefined> {
    if (config.webhooks.hooks.length === 0) return undefined;
    const { wireWebhooks } = await import('./wire-webhooks.ts');
    return wireWebhooks(config, { hub, events: this.#telemetry.events, log: this.#log, env: process.env });
  }

  receive(message: ToWorker): void {
    switch (message.kind) {
      case 'start':
        return;
      case 'stop':
        void this.#stop();
        return;
      case 'take-snapshot':
        void this.#telemetry.snapshot().then((snapshot) => tell({ kind: 'snapshot', id: message.id, snapshot }));
        return;
      case 'snapshots':
        this.#wanted.get(message.id)?.(message.snapshots);
        return;
    }
  }

  /** First the clients, then what served them. */
  async #stop(): Promise<void> {
    await this.#server?.close(this.#start.config.limits.drainMs);
    await this.#webhooks?.[Symbol.asyncDispose]();
    await this.#access?.[Symbol.asyncDispose]();
    await this.#hub?.[Symbol.asyncDispose]();
    process.exit(0);
  }

  /** The figures of all workers; of this one alone when the primary does not answer. */
  async #allSnapshots(): Promise<readonly MetricsSnapshot[]> {
    this.#collection += 1;
    const id = this.#collection;
    const { promise, resolve } = Promise.withResolvers<readonly MetricsSnapshot[]>();
    this.#wanted.set(id, resolve);
    tell({ kind: 'want-snapshots', id });
    const timer = setTimeout(() => resolve([]), snapshotsMs);
    const snapshots = await promise;
    clearTimeout(timer);
    this.#wanted.delete(id);
    return snapshots.length > 0 ? snapshots : [await this.#telemetry.snapshot()];
  }
}

async function readTls(config: HubConfig): Promise<TlsMaterial | undefined> {
  if (config.tls === undefined) return undefined;
  const [cert, key] = await Promise.all([readFile(config.tls.certFile), readFile(config.tls.keyFile)]);
  return { cert, key };
}

function listen({ server }: HubServer, config: HubConfig): Promise<number> {
  const { host, port } = config.listen;
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why =
        error.code === 'EADDRINUSE' ? 'another program listens there' : error.code === 'EACCES' ? 'this user may not' : error.message;
      reject(new HubError('listen-failed', `cannot listen on ${host}:${port}: ${why}`, { cause: error }));
    });
    server.listen({ host, port }, () => resolve((server.address() as AddressInfo).port));
  });
}

function tell(message: FromWorker): void {
  process.send?.(message, () => {});
}

let worker: HubWorker | undefined;

process.on('message', (message: ToWorker) => {
  if (message.kind !== 'start') {
    worker?.receive(message);
    return;
  }
  worker = new HubWorker(message.start);
  worker.begin().catch((error: unknown) => {
    tell({ kind: 'failed', code: codeOf(error) ?? 'storage-fault', message: messageOf(error) });
  });
});

// Ctrl-C and a service manager signal the whole group; the primary tells its workers when to stop.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
process.on('SIGHUP', () => {});
process.on('disconnect', () => setTimeout(() => process.exit(1), orphanMs));
