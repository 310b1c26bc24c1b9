import type { ChaincastEvent } from "chaincast-client";
import { amount, change, plain, price, short, time, units } from "./format.js";

/** A line of a feed. */
export interface Row {
  id: string;
  tone: "up" | "down" | "warn" | "bad" | "";
  cells: readonly string[];
  retracted: boolean;
}

type Data = Record<string, unknown>;

/** Return the network of an event, or "" if a backend published it. */
export function networkOf(event: ChaincastEvent): string {
  return event.topics.find((topic) => topic.startsWith("network:"))?.slice("network:".length) ?? "";
}

/** Return the key of the token that an event is about (`network:address`), if there is one. */
export function tokenOf(event: ChaincastEvent): string | undefined {
  const network = networkOf(event);
  return event.token && network ? `${network}:${event.token.toLowerCase()}` : undefined;
}

/** Return the row of a trade: time, token, side, amount, payment, price. */
export function tradeRow(event: ChaincastEvent): Row {
  const data = event.data;
  const [tokens, paid, unit] = amounts(data);
  const side = data.side === "sell" ? "sell" : "buy";
  const name = plain(data.symbol ?? topicKey(event) ?? short(event.token ?? ""), 16);
  const cost = typeof data.price === "string" || typeof data.price === "number" ? price(Number(data.price)) : "–";
  return row(event, side === "buy" ? "up" : "down", [time(event.timestamp), name, side, amount(tokens), `${amount(paid)}${unit}`, cost]);
}

/** Return the row of any event: time, network, kind, details. */
export function eventRow(event: ChaincastEvent): Row {
  return row(event, "", [time(event.timestamp), networkOf(event) || "published", kindOf(event), detailsOf(event)]);
}

/** Return the row of an alert: time, type, message. */
export function alertRow(event: ChaincastEvent): Row {
  const tone = event.data.severity === "critical" ? "bad" : event.data.severity === "warning" ? "warn" : "";
  return row(event, tone, [time(event.timestamp), plain(event.data.type ?? event.data.level, 12), plain(event.data.message, 160)]);
}

export function isAlert(event: ChaincastEvent): boolean {
  return event.kind === "alert" || event.kind === "system.alert";
}

function row(event: ChaincastEvent, tone: Row["tone"], cells: readonly string[]): Row {
  return { id: event.id, tone, cells, retracted: false };
}

function kindOf(event: ChaincastEvent): string {
  return event.kind === "contract.event" ? plain(event.data.event ?? event.data.signature ?? event.kind, 24) : plain(event.kind, 24);
}

function detailsOf(event: ChaincastEvent): string {
  const data = event.data;
  const name = plain(data.symbol ?? "", 16);
  if (event.kind === "trade") {
    const [tokens, paid, unit] = amounts(data);
    return `${name} ${data.side === "sell" ? "sell" : "buy"} ${amount(tokens)} for ${amount(paid)}${unit}`;
  }
  if (event.kind === "price" && "change_24h" in data) return `${name} ${price(Number(data.price ?? NaN))} ${change(data.change_24h as number | null)}`;
  if (event.kind === "token.created") return `${name} “${plain(data.name, 40)}” by ${short(String(data.creator))}`;
  if (event.kind === "contract.event") return fieldsOf((data.args ?? {}) as Data);
  if (isAlert(event)) return plain(data.message, 160);
  return fieldsOf(data);
}

/** Return the names and values of fields, cut to the length of a line. */
function fieldsOf(data: Data): string {
  const fields = Object.entries(data).map(([name, value]) => `${plain(name, 24)}=${valueOf(value)}`);
  return plain(fields.join("  "), 160);
}

function valueOf(value: unknown): string {
  if (typeof value === "string") return /^0x[0-9a-fA-F]{16,}$/.test(value) ? short(value) : plain(value, 40);
  return plain(JSON.stringify(value), 40);
}

function topicKey(event: ChaincastEvent): string | undefined {
  const [family, key] = event.topics[0]?.split(":") ?? [];
  return family === "trade" ? key : undefined;
}

/**
 * Return amount, payment and unit of payment of a trade, in whole units. Trades on a bonding curve, in a pair, and those
 * that a backend published have different fields.
 */
function amounts(data: Data): [number, number, string] {
  if ("native_amount" in data) return [units(data.token_amount), units(data.native_amount), ""];
  if ("quote_amount" in data) {
    const tokens = units(data.token_amount, Number(data.token_decimals ?? 0));
    return [tokens, units(data.quote_amount, Number(data.quote_decimals ?? 0)), ` ${plain(data.quote_symbol, 10)}`];
  }
  return [Number(data.amount ?? NaN), Number(data.amount ?? NaN) * Number(data.price ?? NaN), ""];
}
