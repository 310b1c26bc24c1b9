/** What travels: the messages of `chaincast.v1` as docs/protocol.md describes them. */

/** Something that happened. Amounts in wei or token units are decimal strings; times are milliseconds. */
export interface ChaincastEvent {
  /** The same whenever the same event is told again. */
  id: string;
  kind: string;
  timestamp: number;
  topics: string[];
  data: Record<string, unknown>;
  block?: number;
  tx_hash?: string;
  log_index?: number;
  contract?: string;
  token?: string;
}

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

interface Answer {
  id?: string | number;
}

export type Told =
  | { type: "connected"; connection_id: string; dialect: string; networks: string[] }
  | ({ type: "subscribed"; topics: string[]; now?: Record<string, Now>; cursors?: Cursors } & Answer)
  | ({ type: "unsubscribed"; topics: string[] } & Answer)
  | ({ type: "pong"; timestamp: number } & Answer)
  | ({ type: "authenticated"; user: { id: string; email: string } | null } & Answer)
  | { type: "auth_expired"; closes_in: number }
  | ({ type: "price"; network: string; token: string; event: ChaincastEvent | null } & Answer)
  | ({ type: "history"; what: string; before: string | null; events: ChaincastEvent[] } & Answer)
  | ({ type: "stats"; stats: Record<string, Json> } & Answer)
  | { type: "events"; source: string; cursor: string; events: ChaincastEvent[] }
  | { type: "retracted"; source: string; cursor: string; ids: string[] }
  | Refusal;

/** Source (a network, or `app-0` …) → the cursor of its last message. */
export type Cursors = Record<string, string>;

/** How a token stands: its newest price and trade. */
export interface Now {
  price: ChaincastEvent | null;
  latest_trade: ChaincastEvent | null;
}

export type Refusal = {
  type: "error";
  code: string;
  message: string;
  /** Of CURSOR_EXPIRED. */
  source?: string;
  oldest?: string;
  /** Of RATE_LIMITED: seconds. */
  retry_after?: number;
} & Answer;

/** Something was refused; `code` is one of docs/protocol.md's, or `TIMEOUT`, `CLOSED`, `GATEWAY` of the client itself. */
export class ChaincastError extends Error {
  override readonly name = "ChaincastError";
  readonly code: string;
  /** Seconds after which it works again. */
  readonly retryAfter: number | undefined;
  readonly source: string | undefined;
  readonly oldest: string | undefined;

  constructor(code: string, message: string, more: Partial<Refusal> = {}) {
    super(`${code}: ${message}`);
    this.code = code;
    this.retryAfter = more.retry_after;
    this.source = more.source;
    this.oldest = more.oldest;
  }
}

/**
 * The message that a text is; `undefined` if it is none. When a function fails, API Gateway answers with JSON that has no
 * `type`: that is an error, too.
 */
export function parse(text: unknown): Told | undefined {
  let found: unknown;
  try {
    found = JSON.parse(String(text));
  } catch {
    return undefined;
  }
  if (typeof found !== "object" || found === null) return undefined;
  if ("type" in found) return found as Told;
  return { type: "error", code: "GATEWAY", message: String((found as { message?: unknown }).message ?? text) };
}
