/** Messages of `chaincast.v1` (docs/protocol.md). */

/** One event. Amounts in wei or token units are decimal strings; times are milliseconds since 1970. */
export interface ChaincastEvent {
  /** Identifies the event; a repeated event has the same id. */
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

interface Reply {
  id?: string | number;
}

export type ServerMessage =
  | { type: "connected"; connection_id: string; dialect: string; networks: string[] }
  | ({ type: "subscribed"; topics: string[]; now?: Record<string, TokenSnapshot>; cursors?: Cursors } & Reply)
  | ({ type: "unsubscribed"; topics: string[] } & Reply)
  | ({ type: "pong"; timestamp: number } & Reply)
  | ({ type: "authenticated"; user: { id: string; email: string } | null } & Reply)
  | { type: "auth_expired"; closes_in: number }
  | ({ type: "price"; network: string; token: string; event: ChaincastEvent | null } & Reply)
  | ({ type: "history"; what: string; before: string | null; events: ChaincastEvent[] } & Reply)
  | ({ type: "stats"; stats: Record<string, Json> } & Reply)
  | { type: "events"; source: string; cursor: string; events: ChaincastEvent[] }
  | { type: "retracted"; source: string; cursor: string; ids: string[] }
  | Refusal;

/** Source (a network, or `app-0` …) → cursor of its last message. */
export type Cursors = Record<string, string>;

/** Current state of a token: its newest price and trade. */
export interface TokenSnapshot {
  price: ChaincastEvent | null;
  latest_trade: ChaincastEvent | null;
}

export type Refusal = {
  type: "error";
  code: string;
  message: string;
  /** Source whose cursor has expired (CURSOR_EXPIRED), and its oldest available cursor. */
  source?: string;
  oldest?: string;
  /** Seconds to wait (RATE_LIMITED). */
  retry_after?: number;
} & Reply;

/** A refused or failed request. `code` is listed in docs/protocol.md, or is the client's own `TIMEOUT`, `CLOSED` or `GATEWAY`. */
export class ChaincastError extends Error {
  override readonly name = "ChaincastError";
  readonly code: string;
  /** Seconds after which a retry may succeed. */
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
 * Parse a message; `undefined` if the text is not one. When a function fails, API Gateway sends JSON without a `type`, which
 * becomes an error message.
 */
export function parse(text: unknown): ServerMessage | undefined {
  let value: unknown;
  try {
    value = JSON.parse(String(text));
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  if ("type" in value) return value as ServerMessage;
  return { type: "error", code: "GATEWAY", message: String((value as { message?: unknown }).message ?? text) };
}
