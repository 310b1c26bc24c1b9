import { Inbox } from "./inbox.js";
import { Memory } from "./memory.js";
import { ChaincastError, type ChaincastEvent, type Json, type Now } from "./protocol.js";
import { Session, type Hooks, type Options, type State } from "./session.js";
import { canonical, forms } from "./topics.js";

/** Told of every event once; and again, `retracted`, of one that a reorganisation of the chain took back. */
export type Handler = (event: ChaincastEvent, retracted: boolean) => void;
/** Told how a token stands, whenever the server says so. */
export type NowHandler = (now: Now) => void;

interface Subscription {
  handler: Handler;
  onNow: NowHandler | undefined;
}

export interface Page {
  events: ChaincastEvent[];
  /** Ask again with it for what is older; `null`: there is no more. */
  before: string | null;
}

export interface PageOptions {
  /** 1 to 100; 20 if left out. */
  limit?: number;
  before?: string;
}

/** By so many ids events are known that come twice. */
const REMEMBERED = 5_000;
/** With so many unhandled, no more are taken until they are done. */
const MOST_WAITING = 2_000;

/** A lasting connection to a Chaincast stack. Handlers miss nothing and are told nothing twice, whatever happens to sockets. */
export class Chaincast {
  readonly #session: Session;
  readonly #options: Options;
  readonly #subscriptions = new Map<string, Set<Subscription>>();
  readonly #seen = new Memory<ChaincastEvent>(REMEMBERED);
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
    const hooks: Hooks = { take: (message) => this.#take(message), now: (now) => this.#now(now) };
    this.#session = new Session(url, { ...options, onState }, hooks);
  }

  get state(): State {
    return this.#session.state;
  }

  /** Be called whenever `state` is another; the answer stops it. */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** Listen to topics (docs/protocol.md); the answer stops it. `onNow`: of topics `token:…`. */
  subscribe(topics: string | readonly string[], handler: Handler, onNow?: NowHandler): () => void {
    const subscription: Subscription = { handler, onNow };
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

  /** A token's newest `price` event; `null` if there is none. Raises `ChaincastError`, as all that ask. */
  async getPrice(network: string, token: string): Promise<ChaincastEvent | null> {
    const told = await this.#session.ask({ type: "get", what: "price", network, token });
    return told.type === "price" ? told.event : null;
  }

  /** A token's trades, newest first. */
  getTrades(network: string, token: string, options: PageOptions = {}): Promise<Page> {
    return this.#page({ what: "trades", network, token, ...options });
  }

  /** What a token's price was, newest first. */
  getPrices(network: string, token: string, options: PageOptions = {}): Promise<Page> {
    return this.#page({ what: "prices", network, token, ...options });
  }

  /** A network's newest tokens. */
  getTokens(network: string, options: PageOptions = {}): Promise<Page> {
    return this.#page({ what: "tokens", network, ...options });
  }

  /** A network's alerts of a type, newest first. */
  getAlerts(network: string, alert: string, options: PageOptions = {}): Promise<Page> {
    return this.#page({ what: "alerts", network, alert, ...options });
  }

  /** What a contract did, newest first; with `events`, only those called so. */
  history(network: string, contract: string, options: PageOptions & { events?: string[] } = {}): Promise<Page> {
    return this.#page({ what: "history", network, contract, ...options });
  }

  /** Counts of a token or a contract. */
  async getStats(network: string, of: { token: string } | { contract: string }): Promise<Record<string, Json>> {
    const told = await this.#session.ask({ type: "get", what: "stats", network, ...of });
    return told.type === "stats" ? told.stats : {};
  }

  /** End it, for good. */
  close(): void {
    this.#session.close();
  }

  async #page(ask: Record<string, unknown>): Promise<Page> {
    const told = await this.#session.ask({ type: "get", ...ask });
    if (told.type !== "history") throw new ChaincastError("BAD_MESSAGE", `asked for history, told ${told.type}`);
    return { events: told.events, before: told.before };
  }

  #take(message: Parameters<Hooks["take"]>[0]): boolean {
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
      if (this.#inbox.size >= MOST_WAITING) return false;
      if (this.#seen.get(event.id) !== undefined) continue;
      this.#seen.set(event.id, event);
      this.#inbox.add(event);
    }
    return true;
  }

  #deliver(event: ChaincastEvent, retracted: boolean): void {
    const told = new Set<Subscription>();
    for (const topic of event.topics) {
      for (const form of forms(topic)) {
        for (const subscription of this.#subscriptions.get(form) ?? []) told.add(subscription);
      }
    }
    for (const { handler } of told) this.#guard(() => handler(event, retracted));
  }

  #now(now: Record<string, Now>): void {
    for (const [topic, standing] of Object.entries(now)) {
      for (const { onNow } of this.#subscriptions.get(topic) ?? []) if (onNow) this.#guard(() => onNow(standing));
    }
  }

  /** One handler's fault is not another's. */
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
