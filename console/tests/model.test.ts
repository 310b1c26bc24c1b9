import assert from "node:assert/strict";
import { test } from "node:test";
import type { ChaincastEvent } from "chaincast-client";
import { amount, change, milliseconds, plain, price, short, units } from "../src/format.js";
import { Model } from "../src/model.js";
import { alertRow, eventRow, tradeRow } from "../src/rows.js";
import { Series } from "../src/series.js";

let count = 0;
const TOKEN = `0x${"Ab".repeat(20)}`;

function event(kind: string, data: Record<string, unknown> = {}, more: Partial<ChaincastEvent> = {}): ChaincastEvent {
  count += 1;
  const token = more.token ?? TOKEN;
  const topics = [`token:bsc:${token.toLowerCase()}`, "network:bsc"];
  return { id: `bsc:${count}`, kind, timestamp: 1_700_000_000_000 + count, topics, data, token, block: count, ...more };
}

const tradeData = { symbol: "CAT", side: "buy", native_amount: "2000000000000000000", token_amount: "5000000000000000000000", price: "0.0004" };

test("prices are short, however small", () => {
  assert.deepEqual(
    [0, 1234567, 45000.5, 1.5, 0.01234567, 0.0004, 0.000000002745, 1e-18, -0.00001, NaN].map(price),
    ["0", "1,234,567", "45,001", "1.5", "0.01235", "0.0₃4", "0.0₈2745", "0.0₁₇1", "-0.0₄1", "–"],
  );
});

test("amounts, changes and times are short", () => {
  assert.deepEqual([0, 12.34, 5_000, 1.2e9, 0.05, NaN].map(amount), ["0", "12.3", "5K", "1.2B", "0.05", "–"]);
  assert.deepEqual([3.21, -4, 0, 123456, null].map(change), ["+3.2 %", "-4.0 %", "0.0 %", "+123.5K %", ""]);
  assert.deepEqual([12.4, 1500, 61_000].map(milliseconds), ["12 ms", "1.5 s", "61 s"]);
  assert.deepEqual([units("1500000", 6), units(undefined)], [1.5, NaN]);
  assert.equal(short(TOKEN), "0xAbAb…AbAb");
});

test("untrusted text cannot reorder or flood a line", () => {
  assert.equal(plain("a\u202Eb\u0000c"), "a�b�c");
  assert.equal(plain("x".repeat(100), 10), `${"x".repeat(9)}…`);
});

test("rows show trades on a curve, in a pair, and of a backend", () => {
  assert.deepEqual(tradeRow(event("trade", tradeData)).cells.slice(1), ["CAT", "buy", "5K", "2", "0.0₃4"]);
  const pair = { side: "sell", symbol: "DOG", token_amount: "2000000000", token_decimals: 9, quote_amount: "2500000", quote_decimals: 6, quote_symbol: "USDC", price: null };
  assert.deepEqual(tradeRow(event("trade", pair)).cells.slice(1), ["DOG", "sell", "2", "2.5 USDC", "–"]);
  const published = { ...event("trade", { side: "buy", price: 2500, amount: 2 }), topics: ["trade:ETH-USDC"] };
  assert.deepEqual(tradeRow(published).cells.slice(1), ["ETH-USDC", "buy", "2", "5K", "2,500"]);
  const transfer = event("contract.event", { event: "Transfer", args: { from: TOKEN, value: "7" } });
  assert.deepEqual(eventRow(transfer).cells.slice(1), ["bsc", "Transfer", "from=0xAbAb…AbAb  value=7"]);
  const alert = event("alert", { type: "whale", severity: "critical", message: "big" });
  assert.deepEqual([alertRow(alert).tone, ...alertRow(alert).cells.slice(1)], ["bad", "whale", "big"]);
});

test("the model stays small and keeps the pinned token", () => {
  const model = new Model();
  model.pinned = `bsc:${TOKEN.toLowerCase()}`;
  model.updateToken(event("token.created", { symbol: "CAT", name: "Cat" }));
  for (let n = 0; n < 1000; n++) model.apply(event("price", { price: "1" }, { token: `0x${n}` }), false, n);
  assert.equal(model.tokens.size, 200);
  assert.equal(model.tokens.get(model.pinned)?.symbol, "CAT");
  assert.ok(!model.tokens.has("bsc:0x0") && model.tokens.has("bsc:0x999"));
  assert.equal(model.events.rows.length, 60);
  assert.equal(model.total, 1000);
});

test("tokens are in the order of their creation, those of unknown age last", () => {
  const model = new Model();
  const at = (token: string, kind: string, timestamp: number) => model.updateToken(event(kind, { price: "1" }, { token, timestamp }));
  at("0xold", "price", 50);
  at("0x1", "token.created", 10);
  at("0x2", "token.created", 20);
  at("0x1", "price", 60);
  assert.deepEqual(model.newestTokens(9).map((token) => token.address), ["0x2", "0x1", "0xold"]);
  model.pinned = "bsc:0xold";
  assert.deepEqual(model.newestTokens(1).map((token) => token.address), ["0x2", "0xold"]);
});

test("a token keeps its newest price, whatever order they come in", () => {
  const model = new Model();
  const [older, newer] = [event("price", { price: "1" }), event("price", { price: "2" })];
  model.updateToken(newer);
  model.updateToken(older);
  assert.equal(model.tokens.get(`bsc:${TOKEN.toLowerCase()}`)?.price, newer);
});

test("a retracted event is struck out, and a retracted token is removed", () => {
  const model = new Model();
  const [created, trade] = [event("token.created", { symbol: "CAT" }), event("trade", tradeData)];
  model.apply(created, false, 0);
  model.apply(trade, false, 0);
  model.apply(trade, true, 0);
  assert.deepEqual(model.trades.rows.map((row) => row.retracted), [true]);
  assert.deepEqual(model.events.rows.map((row) => row.retracted), [true, false]);
  model.apply(created, true, 0);
  assert.equal(model.tokens.size, 0);
});

test("rate and latency cover the last events", () => {
  const model = new Model();
  assert.equal(model.latency(), null);
  for (let n = 0; n < 50; n++) model.apply(event("trade", tradeData, { timestamp: 10_000 }), false, 10_000 + n * 10);
  assert.equal(model.rate(11_000), 10);
  assert.equal(model.rate(20_000), 0);
  model.markPainted(10_250);
  assert.equal(model.latency(), 250);
});

test("a series is sorted, of bounded size, and without retracted prices", () => {
  const series = new Series();
  const at = (second: number, value: string) => event("price", { price: value }, { timestamp: second * 1000 });
  assert.equal(series.apply(at(5, "1"), false), "last");
  assert.equal(series.apply(at(5, "2"), false), "last");
  assert.equal(series.apply(at(3, "3"), false), "all");
  const last = at(7, "4");
  assert.equal(series.apply(last, false), "last");
  assert.equal(series.apply(at(8, "0"), false), "none");
  assert.deepEqual(series.points, [{ time: 3, value: 3 }, { time: 5, value: 2 }, { time: 7, value: 4 }]);
  assert.equal(series.apply(last, true), "all");
  assert.equal(series.apply(at(7, "9"), true), "none");
  assert.equal(series.points.length, 2);
  const changes = Array.from({ length: 3000 }, (_, n) => series.apply(at(10 + n, "1"), false));
  assert.deepEqual([series.points.length, series.points.at(-1)?.time], [1002, 3009]);
  assert.equal(changes.filter((change) => change === "all").length, 10); // the oldest were removed, so the chart must redraw all
});
