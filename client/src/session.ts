import { OnlineMonitor } from "./online-monitor.js";
import { pause } from "./backoff.js";
import { Socket } from "./socket.js";
import { ChaincastError, type Cursors, type TokenSnapshot, type ServerMessage } from "./protocol.js";

/** `waiting`: until the next attempt; `behind`: handlers are too slow, and missed events are fetched when they have finished. */
export type State = "connecting" | "open" | "waiting" | "offline" | "behind" | "closed";

export interface Options {
  /** Returns a new ticket; called for every connection (docs/security.md). */
  ticket?: () => string | Promise<string>;
  /** A token, or a function that returns a new one. */
  token?: string | (() => string | Promise<string>);
  onState?: (state: State) => void;
  /** Called when events of a source may be missing, because the client was offline for longer than events are kept. */
  onGap?: (source: string) => void;
  /** Called for errors outside of any request: a refused topic, an exception of a handler. */
  onError?: (error: unknown) => void;
  /** WebSocket class to use instead of the environment's. */
  WebSocket?: typeof WebSocket;
}

type Events = Extract<ServerMessage, { type: "events" }>;
type Retracted = Extract<ServerMessage, { type: "retracted" }>;

/** Receiver of a session's messages. `accept` returns false if there is no room; the session then fetches the message again later. */
export interface Hooks {
  accept: (message: Events | Retracted) => boolean;
  onSnapshots: (snapshots: Record<string, TokenSnapshot>) => void;
}

const BATCH_MS = 20;
const PING_MS = 240_000;
const PONG_MS = 10_000;
const STEADY_MS = 10_000;
const FRESH_MS = 5_000;
/** API Gateway ends every connection after two hours; the session replaces it before. */
const AGE_MS = 100 * 60_000;
const AGE_SPREAD_MS = 15 * 60_000;
const SHORTEST_LOG_MS = 60 * 60_000;
const REFUSED = /_TOPIC$|^UNKNOWN_NETWORK$|^TOO_MANY_TOPICS$|^MAX_SUBSCRIPTIONS$/;

/** A connection that outlives its sockets: all events of the wanted topics are delivered, in order. */
export class Session {
  state: State = "connecting";
  /** Continue after `behind`: the receiver has room again. */
  readonly wake = (): void => this.#wake();
  readonly #url: string;
  readonly #options: Options;
  readonly #hooks: Hooks;
  readonly #monitor: OnlineMonitor;
  readonly #wanted = new Set<string>();
  readonly #refused = new Set<string>();
  readonly #waiters = new Set<{ resolve: (socket: Socket) => void; reject: (error: ChaincastError) => void }>();
  #cursors: Cursors = {};
  #socket: Socket | undefined;
  #lostAt = 0;
  #behind = false;
  #syncing = false;
  #wake: () => void = () => undefined;

  constructor(url: string, options: Options, hooks: Hooks) {
    this.#url = url;
    this.#options = options;
    this.#hooks = hooks;
    this.#monitor = new OnlineMonitor(
      () => this.#checkLiveness(),
      () => this.#socket?.close(),
    );
    void this.#reconnectLoop();
  }

  /** Add or remove a wanted topic. Changes within some milliseconds share one message, because the server limits subscribes. */
  want(topic: string, wanted: boolean): void {
    this.#refused.delete(topic);
    if (wanted) this.#wanted.add(topic);
    else this.#wanted.delete(topic);
    if (!this.#syncing) setTimeout(() => void this.#syncSubscriptions(), BATCH_MS);
  }

  /** Send a message as soon as there is a connection, and return the reply. Rejects with a `ChaincastError`. */
  async ask(message: Record<string, unknown>): Promise<ServerMessage> {
    if (this.state === "closed") throw new ChaincastError("CLOSED", "close() was called");
    return (this.#socket ?? (await new Promise<Socket>((resolve, reject) => this.#waiters.add({ resolve, reject })))).ask(message);
  }

  close(): void {
    this.#to("closed");
    this.#monitor.end();
    this.#socket?.close();
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

  /** Reconnect until the session is closed. */
  async #reconnectLoop(): Promise<void> {
    for (let tries = 0; !this.#closed; ) {
      if (!this.#monitor.online || this.#behind) {
        this.#to(this.#behind ? "behind" : "offline");
        await this.#sleep();
        this.#behind = false;
        continue;
      }
      this.#to("connecting");
      const began = Date.now();
      let wait = 0;
      try {
        this.#useSocket(await this.#openSubscribed());
        // Wait until no socket is left: a new one may have replaced this one.
        for (let socket = this.#socket; socket && !socket.isClosed; socket = this.#socket) await socket.ended;
        if (Date.now() - began > STEADY_MS) tries = 0;
      } catch (error) {
        wait = error instanceof ChaincastError ? (error.retryAfter ?? 0) * 1000 : 0;
      }
      if (this.#socket) this.#lostAt = Date.now();
      this.#socket = undefined;
      if (this.#closed || this.#behind || !this.#monitor.online) continue;
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

  /** Check that the connection is alive, after the page or the network has returned. */
  #checkLiveness(): void {
    if (this.#socket === undefined) this.#wake();
    else if (Date.now() - this.#socket.receivedAt > FRESH_MS) this.#ping(this.#socket);
  }

  #ping(socket: Socket): void {
    socket.ask({ type: "ping" }, PONG_MS).catch(() => socket.close());
  }

  /** Open a socket that is subscribed to all wanted topics and resumes from the current cursors. */
  async #openSubscribed(): Promise<Socket> {
    const socket = await this.#openSocket();
    try {
      const topics = [...this.#wanted].filter((topic) => !this.#refused.has(topic));
      if (topics.length > 0) await this.#subscribe(socket, topics, { ...this.#cursors });
    } catch (error) {
      socket.close();
      throw error;
    }
    return socket;
  }

  async #openSocket(): Promise<Socket> {
    const { ticket, token, WebSocket: Given = WebSocket } = this.#options;
    const url = new URL(this.#url);
    const protocols = ["chaincast.v1"];
    if (ticket) url.searchParams.set("ticket", await ticket());
    else if (token) protocols.push(`chaincast.token.${typeof token === "string" ? token : await token()}`);
    const socket: Socket = new Socket(new Given(url, protocols), (message) => this.#onMessage(socket, message));
    await socket.opened;
    return socket;
  }

  #useSocket(socket: Socket): void {
    const before = this.#socket;
    this.#socket = socket;
    before?.close();
    const pinging = setInterval(() => Date.now() - socket.sentAt >= PING_MS / 2 && this.#ping(socket), PING_MS / 2);
    const aging = setTimeout(() => void this.#replace(socket), AGE_MS + Math.random() * AGE_SPREAD_MS);
    for (const timer of [pinging, aging] as { unref?: () => void }[]) timer.unref?.();
    void socket.ended.then(() => {
      clearInterval(pinging);
      clearTimeout(aging);
    });
    this.#to("open");
    for (const waiter of this.#waiters) waiter.resolve(socket);
    this.#waiters.clear();
    void this.#syncSubscriptions();
  }

  /** Replace a socket without a gap: the old one delivers until the new one is subscribed. */
  async #replace(socket: Socket): Promise<void> {
    try {
      const next = await this.#openSubscribed();
      if (this.#socket === socket && !socket.isClosed) this.#useSocket(next);
      else next.close();
    } catch {
      socket.close(); // reconnect as after any other loss
    }
  }

  async #syncSubscriptions(): Promise<void> {
    const socket = this.#socket;
    if (this.#syncing || socket === undefined) return;
    this.#syncing = true;
    try {
      for (;;) {
        const missing = [...this.#wanted].filter((topic) => !socket.subscribed.has(topic) && !this.#refused.has(topic));
        const spare = [...socket.subscribed].filter((topic) => !this.#wanted.has(topic));
        if (socket.isClosed || (missing.length === 0 && spare.length === 0)) break;
        if (spare.length > 0) await socket.ask({ type: "unsubscribe", topics: spare });
        for (const topic of spare) socket.subscribed.delete(topic);
        if (missing.length > 0) await this.#subscribe(socket, missing, {});
      }
    } catch (error) {
      const wait = error instanceof ChaincastError ? error.retryAfter : undefined;
      if (wait === undefined) socket.close();
      else setTimeout(() => void this.#syncSubscriptions(), wait * 1000);
    } finally {
      this.#syncing = false;
    }
  }

  /** Subscribe to topics. If that takes several messages, each resumes from the same cursors. */
  async #subscribe(socket: Socket, topics: string[], since: Cursors): Promise<void> {
    try {
      const resuming = Object.keys(since).length > 0 ? { since } : {};
      const reply = await socket.ask({ type: "subscribe", topics, cursors: true, ...resuming });
      if (reply.type !== "subscribed") return;
      for (const topic of topics) socket.subscribed.add(topic);
      this.#cursors = { ...reply.cursors, ...this.#cursors };
      if (reply.now) this.#hooks.onSnapshots(reply.now);
    } catch (error) {
      if (!(error instanceof ChaincastError)) throw error;
      if (error.code === "CURSOR_EXPIRED" && error.source && error.oldest) {
        // A client that was connected recently has missed nothing: the source was silent for longer than its log is kept.
        if (this.#socket === undefined && Date.now() - this.#lostAt > SHORTEST_LOG_MS) this.#options.onGap?.(error.source);
        this.#cursors[error.source] = error.oldest;
        return this.#subscribe(socket, topics, { ...since, [error.source]: error.oldest });
      }
      if (error.code === "BAD_CURSOR") {
        for (const source of Object.keys(since)) this.#options.onGap?.(source);
        this.#cursors = {};
        return this.#subscribe(socket, topics, {});
      }
      if (!REFUSED.test(error.code)) throw error;
      await this.#isolateRefused(socket, topics, since, error);
    }
  }

  /** Subscribe to halves of the topics, to isolate the one that the server refuses. */
  async #isolateRefused(socket: Socket, topics: string[], since: Cursors, error: ChaincastError): Promise<void> {
    const [only] = topics;
    if (topics.length === 1 && only !== undefined) {
      if (!this.#wanted.has(only)) return; // no longer wanted
      this.#refused.add(only);
      this.#options.onError?.(error);
      return;
    }
    const half = topics.length >> 1;
    await this.#subscribe(socket, topics.slice(0, half), since);
    await this.#subscribe(socket, topics.slice(half), since);
  }

  #onMessage(socket: Socket, message: ServerMessage): void {
    if (message.type === "events" || message.type === "retracted") {
      if (this.#behind) return;
      if (this.#hooks.accept(message)) this.#cursors[message.source] = message.cursor;
      else {
        this.#behind = true;
        this.#socket?.close();
        socket.close();
      }
    } else if (message.type === "auth_expired") void this.#reauthenticate(socket);
    else if (message.type === "error") this.#options.onError?.(new ChaincastError(message.code, message.message));
  }

  async #reauthenticate(socket: Socket): Promise<void> {
    const { token } = this.#options;
    try {
      if (typeof token === "function") await socket.ask({ type: "authenticate", token: await token() });
      else await this.#replace(socket);
    } catch (error) {
      this.#options.onError?.(error);
    }
  }
}
