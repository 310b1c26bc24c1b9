// @vitest-environment jsdom
import { act, cleanup, render, renderHook, waitFor } from "@testing-library/react";
import { createElement, StrictMode, type ReactNode } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { WebSocket as Socket } from "ws";
import { connect, type Chaincast } from "../src/index.js";
import {
  ChaincastProvider,
  useAlerts,
  useConnectionState,
  useEvents,
  usePrice,
  useTokenUpdates,
  useTrades,
} from "../src/react.js";
import { Server } from "./server.js";

let server: Server;
let client: Chaincast;

beforeEach(async () => {
  server = await Server.start();
  client = connect(server.url, { WebSocket: Socket as unknown as typeof WebSocket });
});

afterEach(async () => {
  cleanup();
  client.close();
  await server.stop();
});

const within = ({ children }: { children: ReactNode }): ReactNode =>
  createElement(StrictMode, null, createElement(ChaincastProvider, { client }, children));
const hook = <T>(use: () => T) => renderHook(use, { wrapper: within }).result;
const ids = (events: readonly { id: string }[]): string[] => events.map((event) => event.id);
const listened = (topic: string): Promise<void> =>
  waitFor(() => expect(server.said.some((said) => said.type === "subscribe" && said.topics?.includes(topic))).toBe(true));
const soon = (check: () => void): Promise<void> => waitFor(check, { timeout: 5_000 });

describe("hooks", () => {
  it("show the price that is kept, then each newer one, and the one before if it is taken back", async () => {
    const [kept] = server.happen("prices:bsc:0xab");
    const price = hook(() => usePrice("0xAB", "bsc"));
    expect(price.current).toBeNull();
    await soon(() => expect(price.current?.id).toBe(kept?.id));
    await listened("prices:bsc:0xab");
    const [newer] = server.happen("prices:bsc:0xab");
    await soon(() => expect(price.current?.id).toBe(newer?.id));
    server.retract(newer?.id ?? "");
    await soon(() => expect(price.current?.id).toBe(kept?.id));
  });

  it("show a token's newest trades, newest first, no more than asked for", async () => {
    server.happen("trades:bsc:0xab");
    server.happen("trades:bsc:0xab");
    const trades = hook(() => useTrades("0xab", "bsc", 3));
    await soon(() => expect(ids(trades.current)).toEqual(["bsc:2:0", "bsc:1:0"]));
    await listened("trades:bsc:0xab");
    for (let n = 0; n < 3; n++) server.happen("trades:bsc:0xab");
    await soon(() => expect(ids(trades.current)).toEqual(["bsc:5:0", "bsc:4:0", "bsc:3:0"]));
    server.retract("bsc:5:0", "bsc:4:0");
    await soon(() => expect(ids(trades.current)).toEqual(["bsc:3:0"]));
  });

  it("show all of a token, alerts of any type, and other topics", async () => {
    const [token, alerts, none] = [
      hook(() => useTokenUpdates("0xab", "bsc")),
      hook(() => useAlerts()),
      hook(() => useEvents([])),
    ];
    await listened("token:bsc:0xab");
    await listened("alerts:*");
    server.happen("token:bsc:0xab", "alerts:whale");
    await soon(() => expect(ids(token.current)).toEqual(["bsc:1:0"]));
    await soon(() => expect(ids(alerts.current)).toEqual(["bsc:1:1"]));
    expect(none.current).toEqual([]);
  });

  it("render a flood a frame at a time", async () => {
    let renders = 0;
    const events = hook(() => {
      renders += 1;
      return useEvents("trades:bsc:*", 10_000);
    });
    await listened("trades:bsc:*");
    const before = renders;
    for (let n = 0; n < 20; n++) server.happen(...Array.from({ length: 50 }, (_, k) => `trades:bsc:0x${k}`));
    await soon(() => expect(events.current.length).toBe(1000));
    expect(renders - before).toBeLessThan(100);
  });

  it("leave when their component does", async () => {
    const { unmount } = render(
      createElement(within, null, createElement(() => createElement("i", null, useEvents("tokens:bsc").length))),
    );
    await listened("tokens:bsc");
    unmount();
    await soon(() => expect(server.said.at(-1)).toMatchObject({ type: "unsubscribe", topics: ["tokens:bsc"] }));
  });

  it("say whether events come", async () => {
    const state = hook(useConnectionState);
    await soon(() => expect(state.current).toBe("open"));
    act(() => client.close());
    expect(state.current).toBe("closed");
  });

  it("say what is missing around them", () => {
    vi.spyOn(console, "error").mockReturnValue(undefined);
    expect(() => renderHook(() => usePrice("0xab", "bsc"))).toThrow("no <ChaincastProvider");
    vi.restoreAllMocks();
  });
});

describe("a page", () => {
  it("does not try while it is offline, and at once when it is not", async () => {
    const states: string[] = [];
    client.watch(() => states.push(client.state));
    await soon(() => expect(client.state).toBe("open"));
    window.dispatchEvent(new Event("offline"));
    await soon(() => expect(client.state).toBe("offline"));
    const before = server.urls.length;
    window.dispatchEvent(new Event("online"));
    await soon(() => expect(client.state).toBe("open"));
    expect(server.urls.length).toBe(before + 1);
  });

  it("asks whether somebody is there when it is looked at again", async () => {
    await soon(() => expect(client.state).toBe("open"));
    const now = Date.now();
    vi.spyOn(Date, "now").mockReturnValue(now + 60_000);
    document.dispatchEvent(new Event("visibilitychange"));
    await soon(() => expect(server.said.some((said) => said.type === "ping")).toBe(true));
    vi.restoreAllMocks();
  });
});
