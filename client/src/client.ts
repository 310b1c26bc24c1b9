import { Inbox } from "./inbox.js";
import { LruMap } from "./lru-map.js";
import { ChaincastError, type ChaincastEvent, type Json, type TokenSnapshot } from "./protocol.js";
import { Session, type Hooks, type Options, type State } from "./session.js";
import { canonical, forms } from "./topics.js";

/** Receives every event once, and once more with `retracted` if a reorganisation of the chain undid it. */
export type Handler = (event: ChaincastEvent, retracted: boolean) => void;
/** Receives the current state of a token, whenever the server sends it. */
export type SnapshotHandler = (snapshot: TokenSnapshot) => void;

interface Subscription {
  handler: Handler;
  onSnapshot: SnapshotHandler | undefined;
}

export interface Page {
  events: ChaincastEvent[];
  /** Value of `before` for the next, older page; `null` on the last page. */
  before: string | null;
}

export interface PageOptions {
  /** 1 to 100; default 20. */
  limit?: number;
  before?: string;
}

/** Number of recent event ids by which repeats are recognised. */
const DEDUP_WINDOW = 5_000;
/** Maximum number of unhandled events; beyond it, the connection is dropped until they are handled. */
const MAX_PENDING_EVENTS = 2_000;

/** A client of a Chaincast stack. Its handlers receive every event exactly once, whatever happens to connections. */
export class Chaincast {
  readonly #session: Session;
  readonly #options: Options;
  readonly #subscriptions = new Map<string, Set<Subscription>>();
  readonly #seen = new LruMap<ChaincastEvent>(DEDUP_WINDOW);
  readonly #inbox: Inbox;
  readonly #watchers = new Set<() => void>();

  constructor(url: string, options: Options = {}) {
    this.#options = options;
    this.#inbox = new Inbox(
      ({ event, retracted }) => this.#deliver(event, retracted),
      () => this.#session.wake(),
    );
    const onState = (state: State): void => {
      options.onState?.(state);
      for (const watcher of this.#watchers) watcher();
    };
    const hooks: Hooks = {
      accept: (message) => this.#accept(message),
      onSnapshots: (snapshots) => this.#onSnapshots(snapshots),
    };
    this.#session = new Session(url, { ...options, onState }, hooks);
  }

  get state(): State {
    return this.#session.state;
  }

  /** Call `watcher` whenever `state` changes. Returns a function that stops it. */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** Subscribe to topics (docs/protocol.md). `onSnapshot` is called for topics `token:…`. Returns a function that unsubscribes. */
  subscribe(topics: string | readonly string[], handler: Handler, onSnapshot?: SnapshotHandler): () => void {
    const subscription: Subscription = { handler, onSnapshot };
    const names = new Set([topics].flat().map(canonical));
    for (const topic of names) {
      const others = this.#subscriptions.get(topic);
      if (others) others.add(subscription);
      else {
        this.#subscriptions.set(topic, new Set([subscription]));
        this.#session.want(topic, true);
      }
    }
    return () => {
      for (const topic of names) {
        const all = this.#subscriptions.get(topic);
        if (all?.delete(subscription) && all.size === 0) {
          this.#subscriptions.delete(topic);
          this.#session.want(topic, false);
        }
      }
    };
  }

  /** Return a token's newest `price` event, or `null`. Like all queries, it rejects with a `ChaincastError`. */
  async getPrice(network: string, token: string): Promise<ChaincastEvent | null> {
    const reply = await this.#session.ask({ type: "get", what: "price", network, token });
    return reply.type === "price" ? reply.event : null;
  }

  /** Return a token's trades, newest first. */
  getTrades(network: string, token: string, options: PageOptions = {}): Promise<Page> {
    return this.#page({ what: "trades", network, token, ...options });
  }

  /** Return a token's past prices, newest first. */
  getPrices(network: string, token: string, options: PageOptions = {}): Promise<Page> {
    return this.#page({ what: "prices", network, token, ...options });
  }

  /** Return a network's newest tokens. */
  getTokens(network: string, options: PageOptions = {}): Promise<Page> {
    return this.#page({ what: "tokens", network, ...options });
  }

  /** Return a network's alerts of one type, newest first. */
  getAlerts(network: string, alert: string, options: PageOptions = {}): Promise<Page> {
    return this.#page({ what: "alerts", network, alert, ...options });
  }

  /** Return a contract's events, newest first; with `events`, only events of these names. */
  history(network: string, contract: string, options: PageOptions & { events?: string[] } = {}): Promise<Page> {
    return this.#page({ what: "history", network, contract, ...options });
  }

  /** Return the statistics of a token or a contract. */
  async getStats(network: string, of: { token: string } | { contract: string }): Promise<Record<string, Json>> {
    const reply = await this.#session.ask({ type: "get", what: "stats", network, ...of });
    return reply.type === "stats" ? reply.stats : {};
  }

  /** Close the connection for good. */
  close(): void {
    this.#session.close();
  }

  async #page(ask: Record<string, unknown>): Promise<Page> {
    const reply = await this.#session.ask({ type: "get", ...ask });
    if (reply.type !== "history") throw new ChaincastError("BAD_MESSAGE", `requested history, received ${reply.type}`);
    return { events: reply.events, before: reply.before };
  }

  #accept(message: Parameters<Hooks["accept"]>[0]): boolean {
    if (message.type === "retracted") {
      for (const id of message.ids) {
        const event = this.#seen.get(id);
        if (event === undefined) continue;
        this.#seen.delete(id);
        this.#inbox.retract(event);
      }
      return true;
    }
    for (const event of message.events) {
      if (this.#inbox.size >= MAX_PENDING_EVENTS) return false;
      if (this.#seen.get(event.id) !== undefined) continue;
      this.#seen.set(event.id, event);
      this.#inbox.add(event);
    }
    return true;
  }

  #deliver(event: ChaincastEvent, retracted: boolean): void {
    const matching = new Set<Subscription>();
    for (const topic of event.topics) {
      for (const form of forms(topic)) {
        for (const subscription of this.#subscriptions.get(form) ?? []) matching.add(subscription);
      }
    }
    for (const { handler } of matching) this.#guard(() => handler(event, retracted));
  }

  #onSnapshots(snapshots: Record<string, TokenSnapshot>): void {
    for (const [topic, snapshot] of Object.entries(snapshots)) {
      for (const { onSnapshot } of this.#subscriptions.get(topic) ?? []) if (onSnapshot) this.#guard(() => onSnapshot(snapshot));
    }
  }

  /** Call a handler such that its exception does not affect other handlers. */
  #guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      if (this.#options.onError) this.#options.onError(error);
      else queueMicrotask(() => { throw error; });
    }
  }
}

/** Connect to a stack's WebSocket URL. */
export function connect(url: string, options: Options = {}): Chaincast {
  return new Chaincast(url, options);
}
