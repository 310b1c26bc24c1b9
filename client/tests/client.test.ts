import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { WebSocket as Socket } from "ws";
import { connect, type Chaincast, type ChaincastEvent, type Options } from "../src/index.js";
import { Server, cursor } from "./server.js";

let server: Server;
let clients: Chaincast[];

beforeEach(async () => {
  server = await Server.start();
  clients = [];
  vi.spyOn(Math, "random").mockReturnValue(0.02); // come back soon
});

afterEach(async () => {
  for (const client of clients) client.close();
  vi.restoreAllMocks();
  await server.stop();
});

function start(options: Options = {}): Chaincast {
  const client = connect(server.url, { WebSocket: Socket as unknown as typeof WebSocket, ...options });
  clients.push(client);
  return client;
}

/** A handler that records what it receives; `held` are the events that were not retracted. */
function holder(): { held: Map<string, ChaincastEvent>; received: string[]; handler: (event: ChaincastEvent, retracted: boolean) => void } {
  const held = new Map<string, ChaincastEvent>();
  const received: string[] = [];
  return {
    held,
    received,
    handler: (event, retracted) => {
      received.push(`${retracted ? "-" : "+"}${event.id}`);
      if (retracted) held.delete(event.id);
      else held.set(event.id, event);
    },
  };
}

const until = (condition: () => boolean): Promise<void> => vi.waitFor(() => expect(condition()).toBe(true), { timeout: 20_000, interval: 5 });
const subscribes = () => server.said.filter((said) => said.type === "subscribe");
const live = (times = 1): Promise<void> => until(() => subscribes().length >= times);

/** A client that listens to all, and has heard the first event; what it is received. */
async function hearing(options: Options = {}): Promise<string[]> {
  const { received, handler } = holder();
  start(options).subscribe("network:bsc", handler);
  await live();
  server.happen("tokens:bsc");
  await until(() => received.length === 1);
  return received;
}

describe("subscribing", () => {
  it("calls each handler for events of its topics, until it unsubscribes", async () => {
    const client = start();
    const [trades, all] = [holder(), holder()];
    const stop = client.subscribe("trades:BSC:0xAB", trades.handler);
    client.subscribe(["network:bsc", "trades:bsc:*"], all.handler);
    await live();
    const [first, second] = server.happen("trades:bsc:0xab", "tokens:bsc");
    await until(() => all.received.length === 2);
    expect(trades.received).toEqual([`+${first?.id}`]);
    expect(all.received).toEqual([`+${first?.id}`, `+${second?.id}`]);
    stop();
    await until(() => server.said.some((said) => said.type === "unsubscribe"));
    server.happen("trades:bsc:0xab");
    await until(() => all.received.length === 3);
    expect(trades.received.length).toBe(1);
  });

  it("subscribes in one message to topics that are wanted within some milliseconds", async () => {
    const client = start();
    for (let n = 0; n < 30; n++) client.subscribe(`trades:bsc:0x${n}`, () => undefined);
    await live();
    const stops = Array.from({ length: 10 }, (_, n) => client.subscribe(`prices:bsc:0x${n}`, () => undefined));
    stops[0]?.();
    await live(2);
    expect(subscribes().map((said) => said.topics?.length)).toEqual([30, 9]);
  });

  it("leaves out a refused topic, and reports it", async () => {
    server.instead = (said) =>
      said.topics?.includes("nonsense:x") ? { type: "error", code: "UNKNOWN_TOPIC", message: "unknown topic family" } : undefined;
    const errors: unknown[] = [];
    const client = start({ onError: (error) => errors.push(error) });
    const { received, handler } = holder();
    client.subscribe(["tokens:bsc", "nonsense:x", "network:bsc", "system"], handler);
    await until(() => errors.length === 1);
    await until(() => subscribes().flatMap((said) => said.topics).includes("system"));
    server.happen("tokens:bsc");
    await until(() => received.length === 1);
    expect(String(errors[0])).toContain("UNKNOWN_TOPIC: unknown topic family");
  });

  it("waits as long as the server says", async () => {
    let refusals = 0;
    server.instead = (said) =>
      said.type === "subscribe" && refusals++ === 0
        ? { type: "error", code: "RATE_LIMITED", message: "wait", retry_after: 0.3 }
        : undefined;
    const client = start();
    const { received, handler } = holder();
    const began = Date.now();
    client.subscribe("tokens:bsc", handler);
    await live(2);
    expect(Date.now() - began).toBeGreaterThanOrEqual(290);
    server.happen("tokens:bsc");
    await until(() => received.length === 1);
  });

  it("keeps an exception of one handler from the others", async () => {
    const errors: unknown[] = [];
    const client = start({ onError: (error) => errors.push(error) });
    const { received, handler } = holder();
    client.subscribe("tokens:bsc", () => {
      throw new Error("mine");
    });
    client.subscribe("tokens:bsc", handler);
    await live();
    server.happen("tokens:bsc", "tokens:bsc");
    await until(() => received.length === 2);
    expect(errors.map(String)).toEqual(["Error: mine", "Error: mine"]);
  });
});

describe("coming back", () => {
  it("receives missed events, in order and once", async () => {
    const received = await hearing();
    server.cut();
    server.happen("tokens:bsc", "trades:bsc:0xab");
    await live(2);
    server.happen("tokens:bsc");
    await until(() => received.length === 4);
    expect(received).toEqual(["+bsc:1:0", "+bsc:2:0", "+bsc:2:1", "+bsc:3:0"]);
    expect(subscribes().map((said) => said.since)).toEqual([undefined, { bsc: cursor(1) }]);
  });

  it("resumes all topics from the same cursors, in several messages", async () => {
    const received = await hearing();
    const limit = { type: "error", code: "TOO_MANY_TOPICS", message: "at most 1" };
    clients[0]?.subscribe("system", () => undefined);
    await live(2);
    const before = subscribes().length;
    let happened = false;
    server.instead = (said) => {
      if ((said.topics?.length ?? 0) > 1) return limit;
      // Between the two halves something comes, and the cursor of the first has moved.
      if (said.type === "subscribe" && !happened) {
        happened = true;
        queueMicrotask(() => server.happen("network:bsc"));
      }
      return undefined;
    };
    server.cut();
    server.happen("tokens:bsc");
    await live(before + 3);
    await until(() => received.length === 3);
    expect(subscribes().slice(before).map((said) => said.since)).toEqual(Array(3).fill({ bsc: cursor(1) }));
  });

  it("resumes even if no event had arrived before", async () => {
    server.happen("tokens:bsc");
    const client = start();
    const { received, handler } = holder();
    client.subscribe("network:bsc", handler);
    await until(() => client.state === "open");
    await live();
    await new Promise((resolve) => setTimeout(resolve)); // the answer is on its way on the same socket
    await client.getPrice("bsc", "0xab"); // and here
    server.cut();
    server.happen("tokens:bsc");
    await until(() => received.length === 1);
    expect(received).toEqual(["+bsc:2:0"]);
  });

  it("reports a gap after a long absence, and continues from the oldest event", async () => {
    const gaps: string[] = [];
    const received = await hearing({ onGap: (source) => gaps.push(source) });
    server.instead = (said) =>
      said.since?.bsc === cursor(1)
        ? { type: "error", code: "CURSOR_EXPIRED", message: "too old", source: "bsc", oldest: cursor(2) }
        : undefined;
    const now = Date.now();
    vi.spyOn(Date, "now").mockImplementation(() => (subscribes().length > 1 ? now + 2 * 3_600_000 : now));
    server.cut();
    server.happen("tokens:bsc");
    server.happen("tokens:bsc");
    await until(() => received.length === 2);
    expect([received, gaps]).toEqual([["+bsc:1:0", "+bsc:3:0"], ["bsc"]]);
  });

  it("starts again without cursors that belong to another deployment", async () => {
    const gaps: string[] = [];
    const received = await hearing({ onGap: (source) => gaps.push(source) });
    server.instead = (said) => (said.since ? { type: "error", code: "BAD_CURSOR", message: "ahead" } : undefined);
    server.cut();
    await live(3);
    server.happen("tokens:bsc");
    await until(() => received.length === 2);
    expect(gaps).toEqual(["bsc"]);
  });

  it("reconnects after an error of API Gateway", async () => {
    let failures = 0;
    server.instead = (said) =>
      said.type === "subscribe" && failures++ < 2 ? { message: "Internal server error", connectionId: "c" } : undefined;
    const client = start();
    const { received, handler } = holder();
    client.subscribe("network:bsc", handler);
    await live(3);
    server.happen("tokens:bsc");
    await until(() => received.length === 1);
    expect(server.urls.length).toBe(3);
  });

  it("replaces the connection before API Gateway ends it, without a gap", async () => {
    const { setTimeout: real } = globalThis;
    const aging: (() => void)[] = [];
    vi.spyOn(globalThis, "setTimeout").mockImplementation(((call: () => void, ms?: number, ...rest: unknown[]) => {
      if ((ms ?? 0) < 60 * 60_000) return real(call, ms, ...rest);
      aging.push(call);
      return real(() => undefined);
    }) as typeof setTimeout);
    const states: string[] = [];
    const received = await hearing({ onState: (state) => states.push(state) });
    aging[0]?.();
    for (let n = 0; n < 50; n++) {
      server.happen("tokens:bsc");
      await new Promise((resolve) => real(resolve, 1));
    }
    await until(() => server.urls.length === 2 && server.connections === 1);
    server.happen("tokens:bsc");
    await until(() => received.length === 52);
    expect(received).toEqual(Array.from({ length: 52 }, (_, n) => `+bsc:${n + 1}:0`));
    expect(states).toEqual(["open"]);
  });

  it("fetches later the events that its handlers were too slow for", async () => {
    const states: string[] = [];
    const client = start({ onState: (state) => states.push(state) });
    const { received, handler } = holder();
    client.subscribe("network:bsc", (event, retracted) => {
      const ends = performance.now() + 0.5;
      while (performance.now() < ends); // busy
      handler(event, retracted);
    });
    await live();
    for (let n = 0; n < 60; n++) server.happen(...Array.from({ length: 100 }, (_, k) => `trades:bsc:0x${k}`));
    await until(() => received.length >= 6000);
    expect(new Set(received).size).toBe(6000);
    expect(received.length).toBe(6000);
    expect(states).toContain("behind");
  });

  it("holds exactly the true events, however often its connections break", async () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ do: fc.constant("happen" as const), count: fc.integer({ min: 1, max: 4 }) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("retract" as const), count: fc.integer({ min: 1, max: 5 }) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("again" as const), count: fc.constant(1) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("cut" as const), count: fc.constant(0) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("wait" as const), count: fc.integer({ min: 1, max: 20 }) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const topic = `trades:bsc:0x${server.said.length}`; // each run is about something of its own
        const client = start();
        const { held, handler } = holder();
        client.subscribe(topic, handler);
        const before = subscribes().length;
        await live(before + 1);
        await client.getPrice("bsc", "0xab"); // its answer comes behind the subscription's
        const canonical: ChaincastEvent[] = [];
        const gone: ChaincastEvent[] = [];
        for (const { do: what, count } of steps) {
          if (what === "happen") canonical.push(...server.happen(...Array<string>(count).fill(topic)));
          else if (what === "cut") server.cut();
          else if (what === "wait") await new Promise((resolve) => setTimeout(resolve, count));
          else if (what === "again" && gone.length > 0) {
            const back = gone.splice(0);
            server.tell(back);
            canonical.push(...back);
          } else if (what === "retract" && canonical.length > 0) {
            const back = canonical.splice(-count).reverse();
            server.retract(...back.map((event) => event.id));
            gone.push(...back);
          }
        }
        const [last] = server.happen(topic);
        if (last) canonical.push(last);
        await until(() => held.has(last?.id ?? ""));
        client.close();
        expect([...held.keys()].sort()).toEqual(canonical.map((event) => event.id).sort());
      }),
      { numRuns: 40 },
    );
  });
});

describe("asking", () => {
  it("sends requests as soon as it is connected", async () => {
    server.happen("prices:bsc:0xab", "trades:bsc:0xab");
    const client = start();
    expect((await client.getPrice("bsc", "0xab"))?.id).toBe("bsc:1:0");
    expect((await client.getTrades("bsc", "0xab", { limit: 5 })).events.map((event) => event.id)).toEqual(["bsc:1:1"]);
    expect(server.said.at(-1)).toMatchObject({ type: "get", what: "trades", network: "bsc", token: "0xab", limit: 5 });
  });

  it("rejects with what the server refuses", async () => {
    server.instead = (said) => (said.type === "get" ? { type: "error", code: "UNKNOWN_NETWORK", message: "no" } : undefined);
    await expect(start().getTrades("x", "0xab")).rejects.toMatchObject({ code: "UNKNOWN_NETWORK" });
  });

  it("does not wait for a closed connection", async () => {
    const client = start({ ticket: () => new Promise(() => undefined) });
    const asked = client.getPrice("bsc", "0xab");
    client.close();
    await expect(asked).rejects.toMatchObject({ code: "CLOSED" });
    await expect(client.getPrice("bsc", "0xab")).rejects.toMatchObject({ code: "CLOSED" });
    expect(client.state).toBe("closed");
  });
});

describe("who it is", () => {
  it("uses a new ticket for every connection", async () => {
    let tickets = 0;
    const client = start({ ticket: () => `t${++tickets}` });
    client.subscribe("system", () => undefined);
    await live();
    server.cut();
    await live(2);
    expect(server.urls).toEqual(["/prod?ticket=t1", "/prod?ticket=t2"]);
  });

  it("sends a token as subprotocol, and a new one when it expires", async () => {
    let tokens = 0;
    const client = start({ token: async () => `jwt${++tokens}` });
    await until(() => client.state === "open");
    expect(server.protocols).toEqual(["chaincast.v1,chaincast.token.jwt1"]);
    server.shout({ type: "auth_expired", closes_in: 60 });
    await until(() => server.said.some((said) => said.type === "authenticate"));
    expect(server.said.at(-1)?.token).toBe("jwt2");
  });
});
