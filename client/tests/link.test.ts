import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Link } from "../src/link.js";
import type { Told } from "../src/protocol.js";

/** A socket on which nothing happens by itself. */
class Wire {
  onopen?: () => void;
  onmessage?: (message: { data: string }) => void;
  onclose?: () => void;
  sent: string[] = [];
  closed = false;
  send(text: string): void {
    this.sent.push(text);
  }
  close(): void {
    this.closed = true;
  }
  tell(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

describe("Link", () => {
  let wire: Wire;
  let link: Link;
  let told: Told[];

  beforeEach(() => {
    vi.useFakeTimers();
    wire = new Wire();
    told = [];
    link = new Link(wire as unknown as WebSocket, (message) => told.push(message));
  });
  afterEach(() => vi.useRealTimers());

  it("gives up on a connection that does not open", async () => {
    const opened = expect(link.opened).rejects.toMatchObject({ code: "CLOSED" });
    await vi.advanceTimersByTimeAsync(15_000);
    await opened;
    expect([wire.closed, link.over]).toEqual([true, true]);
  });

  it("finds out by an answer that does not come that nobody is there", async () => {
    wire.onopen?.();
    await link.opened;
    let settled = 0;
    const asked = expect(link.ask({ type: "get" })).rejects.toMatchObject({ code: "TIMEOUT" }).then(() => (settled += 1));
    await vi.advanceTimersByTimeAsync(29_000); // API Gateway may take as long
    expect(settled).toBe(0);
    await vi.advanceTimersByTimeAsync(1_000);
    await asked;
    await link.gone;
    expect(wire.closed).toBe(true);
    await expect(link.ask({ type: "ping" })).rejects.toMatchObject({ code: "CLOSED" });
  });

  it("gives each question its own answer, and tells the rest", async () => {
    const [first, second] = [link.ask({ type: "ping" }), link.ask({ type: "ping" })];
    wire.tell({ type: "pong", id: 2, timestamp: 2 });
    wire.tell({ type: "events", source: "bsc", cursor: "1", events: [] });
    wire.tell({ type: "pong", id: 1, timestamp: 1 });
    expect([await first, await second]).toMatchObject([{ timestamp: 1 }, { timestamp: 2 }]);
    expect(told.map((message) => message.type)).toEqual(["events"]);
    expect(wire.sent.map((text) => JSON.parse(text).id)).toEqual([1, 2]);
  });

  it("relies on nothing that it asked when API Gateway failed", async () => {
    const asked = Promise.allSettled([link.ask({ type: "ping" }), link.ask({ type: "ping" })]);
    wire.tell({ message: "Internal server error", connectionId: "a", requestId: "b" });
    expect((await asked).map((result) => result.status === "rejected" && result.reason.code)).toEqual(["GATEWAY", "GATEWAY"]);
  });

  it("ends all questions with the connection", async () => {
    const asked = expect(link.ask({ type: "ping" })).rejects.toMatchObject({ code: "CLOSED" });
    wire.onclose?.();
    await asked;
    expect(link.over).toBe(true);
  });
});
