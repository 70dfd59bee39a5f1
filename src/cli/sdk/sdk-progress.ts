import { formatSize } from '../format.ts';
import type { Messages } from '../messages/zh.ts';
import type { Terminal } from '../terminal.ts';
import type { InstallProgress } from './sdk-install.ts';

const BAR_WIDTH = 20;

/** `[########------------]  40 %` */
export function progressBar(done: number, total: number): string {
  const share = total <= 0 ? 0 : Math.min(1, done / total);
  const filled = Math.round(share * BAR_WIDTH);
  return `[${'#'.repeat(filled)}${'-'.repeat(BAR_WIDTH - filled)}] ${String(Math.floor(share * 100)).padStart(3)} %`;
}

/** One line for all SDKs that are under way. */
export class SdkProgress {
  readonly #parts: { readonly terminal: Terminal; readonly messages: Messages; readonly quiet: boolean };
  readonly #running = new Map<string, InstallProgress>();

  constructor(parts: { readonly terminal: Terminal; readonly messages: Messages; readonly quiet: boolean }) {
    this.#parts = parts;
  }

  tell(sdk: string, progress: InstallProgress): void {
    this.#running.set(sdk, progress);
    if (!this.#parts.quiet) this.#parts.terminal.progress(() => [...this.#running].map(([name, at]) => this.#line(name, at)).join('  '));
  }

  end(sdk: string): void {
    this.#running.delete(sdk);
  }

  #line(name: string, progress: InstallProgress): string {
    const { sdk } = this.#parts.messages;
    switch (progress.step) {
      case 'waiting':
        return sdk.waiting(name);
      case 'fetching': {
        const { received, total } = progress;
        const size = total === undefined ? formatSize(received) : `${formatSize(received)} / ${formatSize(total)}`;
        return sdk.fetching(name, total === undefined ? '' : progressBar(received, total), size);
      }
      case 'unpacking':
        return sdk.unpacking(name, progress.files);
      default:
        return progress satisfies never;
    }
  }
}
