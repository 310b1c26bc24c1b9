import { Attention } from "./attention.js";
import { pause } from "./backoff.js";
import { Link } from "./link.js";
import { ChaincastError, type Cursors, type Now, type Told } from "./protocol.js";

/** `waiting`: for the next try; `behind`: handlers are slower than events, the rest is fetched when they are done. */
export type State = "connecting" | "open" | "waiting" | "offline" | "behind" | "closed";

export interface Options {
  /** What gets a ticket, for every connection a fresh one (docs/security.md). */
  ticket?: () => string | Promise<string>;
  /** A token, or what gets a fresh one. */
  token?: string | (() => string | Promise<string>);
  onState?: (state: State) => void;
  /** Something of a source may have been missed: the connection was away for longer than events are kept. */
  onGap?: (source: string) => void;
  /** What nobody waits for went wrong: a topic is refused, a handler throws. */
  onError?: (error: unknown) => void;
  /** Another WebSocket than the environment's. */
  WebSocket?: typeof WebSocket;
}

type Events = Extract<Told, { type: "events" }>;
type Retracted = Extract<Told, { type: "retracted" }>;

/** Whom a session tells; `take` says whether there was room: if not, the message is asked for again later. */
export interface Hooks {
  take: (message: Events | Retracted) => boolean;
  now: (now: Record<string, Now>) => void;
}

const BATCH_MS = 20;
const PING_MS = 240_000;
const PONG_MS = 10_000;
const STEADY_MS = 10_000;
const FRESH_MS = 5_000;
/** API Gateway ends every connection after two hours: another is there before. */
const AGE_MS = 100 * 60_000;
const AGE_SPREAD_MS = 15 * 60_000;
const SHORTEST_LOG_MS = 60 * 60_000;
const REFUSED = /_TOPIC$|^UNKNOWN_NETWORK$|^TOO_MANY_TOPICS$|^MAX_SUBSCRIPTIONS$/;

/** Keeps a connection: whatever happens to its sockets, all that comes under the wanted topics is told, in order. */
export class Session {
  state: State = "connecting";
  /** There is room again. */
  readonly wake = (): void => this.#wake();
  readonly #url: string;
  readonly #options: Options;
  readonly #hooks: Hooks;
  readonly #attention: Attention;
  readonly #wanted = new Set<string>();
  readonly #refused = new Set<string>();
  readonly #waiters = new Set<{ resolve: (link: Link) => void; reject: (error: ChaincastError) => void }>();
  #cursors: Cursors = {};
  #link: Link | undefined;
  #lostAt = 0;
  #behind = false;
  #syncing = false;
  #wake: () => void = () => undefined;

  constructor(url: string, options: Options, hooks: Hooks) {
    this.#url = url;
    this.#options = options;
    this.#hooks = hooks;
    this.#attention = new Attention(
      () => this.#look(),
      () => this.#link?.close(),
    );
    void this.#stay();
  }

  /** Listen to a topic, or stop. What comes within some milliseconds is one message: subscribes are counted. */
  want(topic: string, wanted: boolean): void {
    this.#refused.delete(topic);
    if (wanted) this.#wanted.add(topic);
    else this.#wanted.delete(topic);
    if (!this.#syncing) setTimeout(() => void this.#sync(), BATCH_MS);
  }

  /** The answer to a message, as soon as there is a connection. Raises `ChaincastError`. */
  async ask(message: Record<string, unknown>): Promise<Told> {
    if (this.state === "closed") throw new ChaincastError("CLOSED", "close() was called");
    return (this.#link ?? (await new Promise<Link>((resolve, reject) => this.#waiters.add({ resolve, reject })))).ask(message);
  }

  close(): void {
    this.#to("closed");
    this.#attention.end();
    this.#link?.close();
    for (const waiter of this.#waiters) waiter.reject(new ChaincastError("CLOSED", "close() was called"));
    this.#waiters.clear();
    this.#wake();
  }

  #to(state: State): void {
    if (this.state === state || this.state === "closed") return;
    this.state = state;
    this.#options.onState?.(state);
  }

  get #closed(): boolean {
    return this.state === "closed";
  }

  /** Connect, again and again. */
  async #stay(): Promise<void> {
    for (let tries = 0; !this.#closed; ) {
      if (!this.#attention.online || this.#behind) {
        this.#to(this.#behind ? "behind" : "offline");
        await this.#sleep();
        this.#behind = false;
        continue;
      }
      this.#to("connecting");
      const began = Date.now();
      let wait = 0;
      try {
        this.#adopt(await this.#open());
        // Until none is left: another may have taken a link's place.
        for (let link = this.#link; link && !link.over; link = this.#link) await link.gone;
        if (Date.now() - began > STEADY_MS) tries = 0;
      } catch (error) {
        wait = error instanceof ChaincastError ? (error.retryAfter ?? 0) * 1000 : 0;
      }
      if (this.#link) this.#lostAt = Date.now();
      this.#link = undefined;
      if (this.#closed || this.#behind || !this.#attention.online) continue;
      this.#to("waiting");
      await this.#sleep(wait + pause(tries++));
    }
  }

  #sleep(ms?: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Somebody is back, at the page or on the network: is the connection still there? */
  #look(): void {
    if (this.#link === undefined) this.#wake();
    else if (Date.now() - this.#link.heardAt > FRESH_MS) this.#ping(this.#link);
  }

  #ping(link: Link): void {
    link.ask({ type: "ping" }, PONG_MS).catch(() => link.close());
  }

  /** A link that listens to all that is wanted, and brings what came since the last one. */
  async #open(): Promise<Link> {
    const link = await this.#dial();
    try {
      const topics = [...this.#wanted].filter((topic) => !this.#refused.has(topic));
      if (topics.length > 0) await this.#subscribe(link, topics, { ...this.#cursors });
    } catch (error) {
      link.close();
      throw error;
    }
    return link;
  }

  async #dial(): Promise<Link> {
    const { ticket, token, WebSocket: Given = WebSocket } = this.#options;
    const url = new URL(this.#url);
    const protocols = ["chaincast.v1"];
    if (ticket) url.searchParams.set("ticket", await ticket());
    else if (token) protocols.push(`chaincast.token.${typeof token === "string" ? token : await token()}`);
    const link: Link = new Link(new Given(url, protocols), (told) => this.#hear(link, told));
    await link.opened;
    return link;
  }

  #adopt(link: Link): void {
    const before = this.#link;
    this.#link = link;
    before?.close();
    const pinging = setInterval(() => Date.now() - link.saidAt >= PING_MS / 2 && this.#ping(link), PING_MS / 2);
    const aging = setTimeout(() => void this.#replace(link), AGE_MS + Math.random() * AGE_SPREAD_MS);
    for (const timer of [pinging, aging] as { unref?: () => void }[]) timer.unref?.();
    void link.gone.then(() => {
      clearInterval(pinging);
      clearTimeout(aging);
    });
    this.#to("open");
    for (const waiter of this.#waiters) waiter.resolve(link);
    this.#waiters.clear();
    void this.#sync();
  }

  /** Another link in the place of this one, without a gap: until it listens, the old one tells. */
  async #replace(link: Link): Promise<void> {
    try {
      const next = await this.#open();
      if (this.#link === link && !link.over) this.#adopt(next);
      else next.close();
    } catch {
      link.close(); // then as after any other loss
    }
  }

  async #sync(): Promise<void> {
    const link = this.#link;
    if (this.#syncing || link === undefined) return;
    this.#syncing = true;
    try {
      for (;;) {
        const missing = [...this.#wanted].filter((topic) => !link.live.has(topic) && !this.#refused.has(topic));
        const spare = [...link.live].filter((topic) => !this.#wanted.has(topic));
        if (link.over || (missing.length === 0 && spare.length === 0)) break;
        if (spare.length > 0) await link.ask({ type: "unsubscribe", topics: spare });
        for (const topic of spare) link.live.delete(topic);
        if (missing.length > 0) await this.#subscribe(link, missing, {});
      }
    } catch (error) {
      const wait = error instanceof ChaincastError ? error.retryAfter : undefined;
      if (wait === undefined) link.close();
      else setTimeout(() => void this.#sync(), wait * 1000);
    } finally {
      this.#syncing = false;
    }
  }

  /** Listen to topics. It may take several messages: each resumes from where all began, whatever came in between. */
  async #subscribe(link: Link, topics: string[], since: Cursors): Promise<void> {
    try {
      const resuming = Object.keys(since).length > 0 ? { since } : {};
      const told = await link.ask({ type: "subscribe", topics, cursors: true, ...resuming });
      if (told.type !== "subscribed") return;
      for (const topic of topics) link.live.add(topic);
      this.#cursors = { ...told.cursors, ...this.#cursors };
      if (told.now) this.#hooks.now(told.now);
    } catch (error) {
      if (!(error instanceof ChaincastError)) throw error;
      if (error.code === "CURSOR_EXPIRED" && error.source && error.oldest) {
        // Who was connected until a moment ago has missed nothing: the source was quiet for longer than its Log is kept.
        if (this.#link === undefined && Date.now() - this.#lostAt > SHORTEST_LOG_MS) this.#options.onGap?.(error.source);
        this.#cursors[error.source] = error.oldest;
        return this.#subscribe(link, topics, { ...since, [error.source]: error.oldest });
      }
      if (error.code === "BAD_CURSOR") {
        for (const source of Object.keys(since)) this.#options.onGap?.(source);
        this.#cursors = {};
        return this.#subscribe(link, topics, {});
      }
      if (!REFUSED.test(error.code)) throw error;
      await this.#divide(link, topics, since, error);
    }
  }

  /** One of these topics is refused, and all with it: find it, for the others' sake. */
  async #divide(link: Link, topics: string[], since: Cursors, error: ChaincastError): Promise<void> {
    const [only] = topics;
    if (topics.length === 1 && only !== undefined) {
      if (!this.#wanted.has(only)) return; // nobody wants it any more
      this.#refused.add(only);
      this.#options.onError?.(error);
      return;
    }
    const half = topics.length >> 1;
    await this.#subscribe(link, topics.slice(0, half), since);
    await this.#subscribe(link, topics.slice(half), since);
  }

  #hear(link: Link, told: Told): void {
    if (told.type === "events" || told.type === "retracted") {
      if (this.#behind) return;
      if (this.#hooks.take(told)) this.#cursors[told.source] = told.cursor;
      else {
        this.#behind = true;
        this.#link?.close();
        link.close();
      }
    } else if (told.type === "auth_expired") void this.#renew(link);
    else if (told.type === "error") this.#options.onError?.(new ChaincastError(told.code, told.message));
  }

  async #renew(link: Link): Promise<void> {
    const { token } = this.#options;
    try {
      if (typeof token === "function") await link.ask({ type: "authenticate", token: await token() });
      else await this.#replace(link);
    } catch (error) {
      this.#options.onError?.(error);
    }
  }
}
