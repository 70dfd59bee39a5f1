/**
 * Things that wait by the client they wait for: taken from the clients by turns, so that one with a thousand does not keep another with three from its own.
 * Bounded for each client and in the number of clients; what waited longest goes first.
 */
export class FairQueue<T> {
  readonly #itemsMax: number;
  readonly #clientsMax: number;
  /** In the order of their turns; none is empty. */
  readonly #clients = new Map<string, Map<string, T>>();
  #size = 0;

  constructor(limits: { readonly itemsOfClientMax: number; readonly clientsMax: number }) {
    this.#itemsMax = limits.itemsOfClientMax;
    this.#clientsMax = limits.clientsMax;
  }

  get size(): number {
    return this.#size;
  }

  push(client: string, key: string, item: T): void {
    let items = this.#clients.get(client);
    if (items === undefined) {
      const [oldest] = this.#clients.keys();
      if (this.#clients.size >= this.#clientsMax && oldest !== undefined) this.#forget(oldest);
      items = new Map();
      this.#clients.set(client, items);
    }
    const [oldest] = items.keys();
    if (items.size >= this.#itemsMax && oldest !== undefined && items.delete(oldest)) this.#size -= 1;
    if (!items.has(key)) this.#size += 1;
    items.set(key, item);
  }

  /** The longest waiting thing of the client whose turn it is. */
  take(): T | undefined {
    for (const [client, items] of this.#clients) {
      this.#clients.delete(client);
      for (const [key, item] of items) {
        items.delete(key);
        this.#size -= 1;
        if (items.size > 0) this.#clients.set(client, items);
        return item;
      }
    }
    return undefined;
  }

  /** Whoever it waits for. */
  delete(key: string): void {
    for (const [client, items] of this.#clients) {
      if (!items.delete(key)) continue;
      this.#size -= 1;
      if (items.size === 0) this.#clients.delete(client);
    }
  }

  clear(): void {
    this.#clients.clear();
    this.#size = 0;
  }

  #forget(client: string): void {
    this.#size -= this.#clients.get(client)?.size ?? 0;
    this.#clients.delete(client);
  }
}
