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
  /** When it was created, in ms; 0 if nobody said. */
  created: number;
  /** The how manieth it was that this page heard of. */
  number: number;
}

/** So many tokens are known: who is not heard of for longest goes first. */
const TOKENS = 200;
/** Rows that a feed keeps. */
const ROWS = 60;
const LATENCIES = 200;
const RATE_SECONDS = 5;

/** The newest of something, newest first. */
export class Newest {
  #rows: Row[] = [];
  /** Changes whenever the rows do. */
  version = 0;

  get rows(): readonly Row[] {
    return this.#rows;
  }

  add(row: Row): void {
    this.#rows.unshift(row);
    if (this.#rows.length > ROWS) this.#rows.pop();
    this.version += 1;
  }

  retract(id: string): void {
    const found = this.#rows.find((row) => row.id === id);
    if (found === undefined) return;
    found.retracted = true;
    this.version += 1;
  }
}

/** What the page knows, of bounded size however long it is open; what is told changes it, and nothing else. */
export class Model {
  readonly tokens = new Map<string, Token>();
  readonly trades = new Newest();
  readonly events = new Newest();
  readonly alerts = new Newest();
  /** Events told so far, without what was taken back. */
  total = 0;
  /** Changes whenever tokens come or go, or their prices change. */
  tokensVersion = 0;
  /** This one stays, however long nothing is heard of it. */
  kept: string | undefined;
  #heard = 0;
  readonly #latencies: number[] = [];
  readonly #seconds = new Map<number, number>();
  #unpainted: number[] = [];

  /** An event was told; `retracted`: it is taken back. */
  take(event: ChaincastEvent, retracted: boolean, now: number): void {
    if (retracted) {
      for (const feed of [this.trades, this.events, this.alerts]) feed.retract(event.id);
      if (event.kind === "token.created") this.#forget(tokenOf(event));
      return;
    }
    this.total += 1;
    const second = Math.floor(now / 1000);
    this.#seconds.set(second, (this.#seconds.get(second) ?? 0) + 1);
    for (const old of this.#seconds.keys()) if (old < second - RATE_SECONDS) this.#seconds.delete(old);
    this.#unpainted.push(event.timestamp);
    if (this.#unpainted.length > LATENCIES) this.#unpainted.shift();
    this.events.add(eventRow(event));
    if (event.kind === "trade") this.trades.add(tradeRow(event));
    if (isAlert(event)) this.alerts.add(alertRow(event));
    this.note(event);
  }

  /** Remember the token that an event is about, and its price. */
  note(event: ChaincastEvent): void {
    const key = tokenOf(event);
    if (key === undefined || !event.token) return;
    const known = this.tokens.get(key);
    const symbol = plain(event.data.symbol ?? known?.symbol ?? "", 16);
    const name = plain(event.data.name ?? known?.name ?? "", 40);
    const newer = event.kind === "price" && event.timestamp >= (known?.price?.timestamp ?? 0);
    const price = newer ? event : (known?.price ?? null);
    const created = known?.created || (event.kind === "token.created" ? event.timestamp : Number(event.data.created_at ?? 0));
    const number = known?.number ?? ++this.#heard;
    const token = { key, network: networkOf(event), address: event.token, symbol, name, price, created, number };
    // A map remembers the order of insertion: who is heard of moves to its end, who is first goes first.
    this.tokens.delete(key);
    this.tokens.set(key, token);
    this.tokensVersion += 1;
    if (this.tokens.size > TOKENS) {
      for (const oldest of this.tokens.keys()) {
        if (oldest === this.kept) continue;
        this.tokens.delete(oldest);
        break;
      }
    }
  }

  /** The newest tokens, newest first; and behind them that which is looked at, if it is none of them. */
  newestTokens(most: number): Token[] {
    const sorted = [...this.tokens.values()].sort((a, b) => b.created - a.created || b.number - a.number);
    return sorted.filter((token, place) => place < most || token.key === this.kept);
  }

  /** Events a second, over the last full seconds. */
  rate(now: number): number {
    const second = Math.floor(now / 1000);
    let sum = 0;
    for (let n = 1; n <= RATE_SECONDS; n++) sum += this.#seconds.get(second - n) ?? 0;
    return sum / RATE_SECONDS;
  }

  /** What was told is on the screen now. */
  painted(now: number): void {
    for (const timestamp of this.#unpainted) this.#latencies.push(Math.max(0, now - timestamp));
    this.#unpainted = [];
    this.#latencies.splice(0, this.#latencies.length - LATENCIES);
  }

  /** Milliseconds from an event's timestamp to the screen, in the middle of the last ones; `null`: none yet. */
  latency(): number | null {
    if (this.#latencies.length === 0) return null;
    const sorted = [...this.#latencies].sort((a, b) => a - b);
    return sorted[sorted.length >> 1] ?? null;
  }

  #forget(key: string | undefined): void {
    if (key !== undefined && key !== this.kept && this.tokens.delete(key)) this.tokensVersion += 1;
  }
}
