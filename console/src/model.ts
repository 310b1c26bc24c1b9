import type { ChaincastEvent } from "chaincast-client";
import { plain } from "./format.js";
import { alertRow, eventRow, isAlert, networkOf, tokenOf, tradeRow, type Row } from "./rows.js";

/** A token as the list and the chart show it. */
export interface Token {
  /** `network:address`, in lower case. */
  key: string;
  network: string;
  address: string;
  symbol: string;
  name: string;
  /** Its newest price event, `null` until there is one. */
  price: ChaincastEvent | null;
  /** Time of its creation in ms; 0 if unknown. */
  created: number;
  /** Sequence number: tokens are counted as this page first sees them. */
  number: number;
}

/** Maximum number of tokens. The one without events for the longest time is removed first. */
const MAX_TOKENS = 200;
/** Maximum number of rows in a feed. */
const MAX_ROWS = 60;
const MAX_LATENCIES = 200;
const RATE_SECONDS = 5;

/** The rows of a feed, newest first. */
export class RecentRows {
  #rows: Row[] = [];
  /** Changes whenever the rows do. */
  version = 0;

  get rows(): readonly Row[] {
    return this.#rows;
  }

  add(row: Row): void {
    this.#rows.unshift(row);
    if (this.#rows.length > MAX_ROWS) this.#rows.pop();
    this.version += 1;
  }

  /** Mark the row of a retracted event. */
  retract(id: string): void {
    const row = this.#rows.find((candidate) => candidate.id === id);
    if (row === undefined) return;
    row.retracted = true;
    this.version += 1;
  }
}

/** The state of the page, of bounded size however long it is open. Only received events change it. */
export class Model {
  readonly tokens = new Map<string, Token>();
  readonly trades = new RecentRows();
  readonly events = new RecentRows();
  readonly alerts = new RecentRows();
  /** Number of events received so far, without retractions. */
  total = 0;
  /** Changes whenever a token is added or removed, or its price changes. */
  tokensVersion = 0;
  /** Key of a token that is never removed. */
  pinned: string | undefined;
  #tokenCount = 0;
  readonly #latencies: number[] = [];
  readonly #seconds = new Map<number, number>();
  #unpainted: number[] = [];

  /** Apply a received event or, with `retracted`, its retraction. */
  apply(event: ChaincastEvent, retracted: boolean, now: number): void {
    if (retracted) {
      for (const feed of [this.trades, this.events, this.alerts]) feed.retract(event.id);
      if (event.kind === "token.created") this.#remove(tokenOf(event));
      return;
    }
    this.total += 1;
    const second = Math.floor(now / 1000);
    this.#seconds.set(second, (this.#seconds.get(second) ?? 0) + 1);
    for (const old of this.#seconds.keys()) if (old < second - RATE_SECONDS) this.#seconds.delete(old);
    this.#unpainted.push(event.timestamp);
    if (this.#unpainted.length > MAX_LATENCIES) this.#unpainted.shift();
    this.events.add(eventRow(event));
    if (event.kind === "trade") this.trades.add(tradeRow(event));
    if (isAlert(event)) this.alerts.add(alertRow(event));
    this.updateToken(event);
  }

  /** Add or update the token that an event is about. */
  updateToken(event: ChaincastEvent): void {
    const key = tokenOf(event);
    if (key === undefined || !event.token) return;
    const previous = this.tokens.get(key);
    const symbol = plain(event.data.symbol ?? previous?.symbol ?? "", 16);
    const name = plain(event.data.name ?? previous?.name ?? "", 40);
    const newer = event.kind === "price" && event.timestamp >= (previous?.price?.timestamp ?? 0);
    const price = newer ? event : (previous?.price ?? null);
    const created = previous?.created || (event.kind === "token.created" ? event.timestamp : Number(event.data.created_at ?? 0));
    const number = previous?.number ?? ++this.#tokenCount;
    const token = { key, network: networkOf(event), address: event.token, symbol, name, price, created, number };
    // A map keeps the order of insertion. Moving each updated token to the end makes the first one the oldest.
    this.tokens.delete(key);
    this.tokens.set(key, token);
    this.tokensVersion += 1;
    if (this.tokens.size > MAX_TOKENS) {
      for (const oldest of this.tokens.keys()) {
        if (oldest === this.pinned) continue;
        this.tokens.delete(oldest);
        break;
      }
    }
  }

  /** Return the newest tokens, newest first, followed by the pinned one if it is not among them. */
  newestTokens(count: number): Token[] {
    const sorted = [...this.tokens.values()].sort((a, b) => b.created - a.created || b.number - a.number);
    return sorted.filter((token, index) => index < count || token.key === this.pinned);
  }

  /** Return the average number of events per second, over the last full seconds. */
  rate(now: number): number {
    const second = Math.floor(now / 1000);
    let sum = 0;
    for (let n = 1; n <= RATE_SECONDS; n++) sum += this.#seconds.get(second - n) ?? 0;
    return sum / RATE_SECONDS;
  }

  /** Record that all received events are on the screen now. */
  markPainted(now: number): void {
    for (const timestamp of this.#unpainted) this.#latencies.push(Math.max(0, now - timestamp));
    this.#unpainted = [];
    this.#latencies.splice(0, this.#latencies.length - MAX_LATENCIES);
  }

  /** Return the median of the last latencies (ms from an event's timestamp to the screen), or null if there are none. */
  latency(): number | null {
    if (this.#latencies.length === 0) return null;
    const sorted = [...this.#latencies].sort((a, b) => a - b);
    return sorted[sorted.length >> 1] ?? null;
  }

  #remove(key: string | undefined): void {
    if (key !== undefined && key !== this.pinned && this.tokens.delete(key)) this.tokensVersion += 1;
  }
}
