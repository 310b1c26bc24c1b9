import { describe, expect, it } from "vitest";
import { pause } from "../src/backoff.js";
import { Inbox } from "../src/inbox.js";
import { LruMap } from "../src/lru-map.js";
import { ChaincastError, parse, type ChaincastEvent } from "../src/protocol.js";
import { canonical, forms } from "../src/topics.js";

const happened = (id: string, kind = "trade", topic = "trades:bsc:0xab"): ChaincastEvent => ({
  id,
  kind,
  timestamp: 0,
  topics: [topic, "network:bsc"],
  data: {},
});

describe("pause", () => {
  it("doubles its ceiling up to half a minute", () => {
    const ceilings = [0, 1, 2, 6, 7, 100].map((tries) => pause(tries, () => 1));
    expect(ceilings).toEqual([500, 1000, 2000, 30_000, 30_000, 30_000]);
  });
  it("is anything up to it", () => {
    expect(pause(3, () => 0)).toBe(0);
    expect(pause(3, () => 0.5)).toBe(2000);
  });
});

describe("topics", () => {
  it.each([
    ["system", ["system"]],
    ["tokens:bsc", ["tokens:bsc", "tokens:*"]],
    ["trades:bsc:0xab", ["trades:bsc:0xab", "trades:bsc:*", "trades:*:0xab", "trades:*:*"]],
  ])("%s is heard under all its forms", (topic, all) => expect(forms(topic)).toEqual(all));
  it.each([
    ["Trades:BSC:0xAB", "Trades:BSC:0xAB"], // no family is called so: the server says it
    ["trades:BSC:0xAB", "trades:bsc:0xab"],
    ["price:BTC-USDC", "price:BTC-USDC"],
    ["system", "system"],
  ])("%s in its canonical form is %s", (given, form) => expect(canonical(given)).toBe(form));
});

describe("LruMap", () => {
  it("drops the entry that was set longest ago", () => {
    const map = new LruMap<number>(2);
    map.set("a", 1);
    map.set("b", 2);
    map.set("a", 3);
    map.set("c", 4);
    expect(["a", "b", "c"].map((id) => map.get(id))).toEqual([3, undefined, 4]);
    map.delete("c");
    expect(map.get("c")).toBeUndefined();
  });
});

describe("parse", () => {
  it("takes what is no message for none", () => {
    expect(["", "7", "null", "Worker died", new ArrayBuffer(2)].map(parse)).toEqual(Array(5).fill(undefined));
  });
  it("takes API Gateway's own words for an error", () => {
    const said = '{"message":"Internal server error","connectionId":"a","requestId":"b"}';
    expect(parse(said)).toEqual({ type: "error", code: "GATEWAY", message: "Internal server error" });
  });
  it("keeps what a program needs of an error", () => {
    const error = new ChaincastError("RATE_LIMITED", "wait", { retry_after: 20 });
    expect([error.code, error.message, error.retryAfter]).toEqual(["RATE_LIMITED", "RATE_LIMITED: wait", 20]);
  });
});

describe("Inbox", () => {
  const make = () => {
    const received: string[] = [];
    const drained: number[] = [];
    const inbox = new Inbox(
      ({ event, retracted }) => received.push(`${retracted ? "-" : "+"}${event.id}`),
      () => drained.push(received.length),
    );
    return { inbox, received, drained };
  };
  const settle = () => new Promise((resolve) => setTimeout(resolve));

  it("delivers in order, and reports when it has delivered all", async () => {
    const { inbox, received, drained } = make();
    for (const id of ["a", "b", "c"]) inbox.add(happened(id));
    expect([received.length, inbox.size]).toEqual([0, 3]);
    await settle();
    expect([received, drained, inbox.size]).toEqual([["+a", "+b", "+c"], [3], 0]);
  });
  it("delivers only the newest waiting price of each token", async () => {
    const { inbox, received } = make();
    for (const id of ["p1", "p2", "p3"]) inbox.add(happened(id, "price", "prices:bsc:0xab"));
    inbox.add(happened("q1", "price", "prices:bsc:0xcd"));
    await settle();
    expect(received).toEqual(["+p3", "+q1"]);
  });
  it("delivers neither an event nor its retraction if it was still waiting", async () => {
    const { inbox, received } = make();
    inbox.add(happened("a"));
    inbox.retract(happened("a"));
    await settle();
    expect(received).toEqual([]);
  });
  it("delivers the retraction of a delivered event, unless the event is there again", async () => {
    const { inbox, received } = make();
    for (const id of ["a", "b"]) inbox.add(happened(id));
    await settle();
    for (const id of ["b", "a"]) inbox.retract(happened(id));
    inbox.add(happened("a"));
    await settle();
    expect(received).toEqual(["+a", "+b", "-b"]);
  });
  it("does not lose a price's retraction to a newer price", async () => {
    const { inbox, received } = make();
    const price = (id: string) => happened(id, "price", "prices:bsc:0xab");
    inbox.add(price("p1"));
    await settle();
    inbox.retract(price("p1"));
    inbox.add(price("p2"));
    await settle();
    expect(received).toEqual(["+p1", "-p1", "+p2"]);
  });
});
