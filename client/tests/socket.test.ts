import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Socket } from "../src/socket.js";
import type { ServerMessage } from "../src/protocol.js";

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

describe("Socket", () => {
  let wire: Wire;
  let socket: Socket;
  let received: ServerMessage[];

  beforeEach(() => {
    vi.useFakeTimers();
    wire = new Wire();
    received = [];
    socket = new Socket(wire as unknown as WebSocket, (message) => received.push(message));
  });
  afterEach(() => vi.useRealTimers());

  it("gives up on a connection that does not open", async () => {
    const opened = expect(socket.opened).rejects.toMatchObject({ code: "CLOSED" });
    await vi.advanceTimersByTimeAsync(15_000);
    await opened;
    expect([wire.closed, socket.isClosed]).toEqual([true, true]);
  });

  it("closes a half-open connection when a reply does not arrive", async () => {
    wire.onopen?.();
    await socket.opened;
    let settled = 0;
    const asked = expect(socket.ask({ type: "get" })).rejects.toMatchObject({ code: "TIMEOUT" }).then(() => (settled += 1));
    await vi.advanceTimersByTimeAsync(29_000); // API Gateway may take as long
    expect(settled).toBe(0);
    await vi.advanceTimersByTimeAsync(1_000);
    await asked;
    await socket.ended;
    expect(wire.closed).toBe(true);
    await expect(socket.ask({ type: "ping" })).rejects.toMatchObject({ code: "CLOSED" });
  });

  it("matches each request with its reply, and passes other messages on", async () => {
    const [first, second] = [socket.ask({ type: "ping" }), socket.ask({ type: "ping" })];
    wire.tell({ type: "pong", id: 2, timestamp: 2 });
    wire.tell({ type: "events", source: "bsc", cursor: "1", events: [] });
    wire.tell({ type: "pong", id: 1, timestamp: 1 });
    expect([await first, await second]).toMatchObject([{ timestamp: 1 }, { timestamp: 2 }]);
    expect(received.map((message) => message.type)).toEqual(["events"]);
    expect(wire.sent.map((text) => JSON.parse(text).id)).toEqual([1, 2]);
  });

  it("relies on nothing that it asked when API Gateway failed", async () => {
    const asked = Promise.allSettled([socket.ask({ type: "ping" }), socket.ask({ type: "ping" })]);
    wire.tell({ message: "Internal server error", connectionId: "a", requestId: "b" });
    expect((await asked).map((result) => result.status === "rejected" && result.reason.code)).toEqual(["GATEWAY", "GATEWAY"]);
  });

  it("ends all questions with the connection", async () => {
    const asked = expect(socket.ask({ type: "ping" })).rejects.toMatchObject({ code: "CLOSED" });
    wire.onclose?.();
    await asked;
    expect(socket.isClosed).toBe(true);
  });
});
