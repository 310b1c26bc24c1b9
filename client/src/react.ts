/** Hooks for React 18 and later. Each re-renders at most once a frame, however many events there are. */
import { createContext, createElement, useContext, useEffect, useMemo, useSyncExternalStore, type ReactNode } from "react";
import type { Chaincast } from "./client.js";
import type { ChaincastEvent } from "./protocol.js";
import type { State } from "./session.js";

/** Prices behind the newest: should it be taken back, one of them is the newest again. */
const FALLBACKS = 5;

const Context = createContext<Chaincast | null>(null);

/** Gives the components within a connection. */
export function ChaincastProvider(props: { client: Chaincast; children?: ReactNode }): ReactNode {
  return createElement(Context.Provider, { value: props.client }, props.children);
}

/** The connection. Throws outside a `ChaincastProvider`. */
export function useChaincast(): Chaincast {
  const client = useContext(Context);
  if (client === null) throw new Error("useChaincast: no <ChaincastProvider client={connect(url)}> around this component");
  return client;
}

/** Whether events come: `open`, or why not. */
export function useConnectionState(): State {
  const client = useChaincast();
  return useSyncExternalStore(
    (changed) => client.watch(changed),
    () => client.state,
    () => "connecting",
  );
}

/** The newest events under some topics, newest first, at most `limit`. */
export function useEvents(topics: string | readonly string[], limit = 50): readonly ChaincastEvent[] {
  const client = useChaincast();
  const names = [topics].flat().join(" ");
  const store = useMemo(() => new Newest(limit), [client, names, limit]);
  useEffect(() => {
    if (names === "") return undefined;
    return client.subscribe(names.split(" "), store.take, (now) => store.begin([now.price, now.latest_trade]));
  }, [client, names, store]);
  return useSyncExternalStore(store.watch, store.read, store.read);
}

/** All about one token: launches, trades, prices, alerts, newest first. */
export function useTokenUpdates(token: string, network: string, limit = 50): readonly ChaincastEvent[] {
  return useEvents(`token:${network}:${token}`, limit);
}

/** A token's newest price, `null` until there is one: as it is kept when the component appears, then live. */
export function usePrice(token: string, network: string): ChaincastEvent | null {
  const client = useChaincast();
  const [newest] = useSeeded(`prices:${network}:${token}`, FALLBACKS, async () => {
    const price = await client.getPrice(network, token);
    return price ? [price] : [];
  });
  return newest ?? null;
}

/** A token's newest trades, newest first: those that are kept, then live. */
export function useTrades(token: string, network: string, limit = 20): readonly ChaincastEvent[] {
  const client = useChaincast();
  return useSeeded(`trades:${network}:${token}`, limit, async () => (await client.getTrades(network, token, { limit })).events);
}

/** Alerts of a type (`price`, `volume`, `whale`, `rug`; all if left out), newest first, from now on. */
export function useAlerts(type = "*", limit = 20): readonly ChaincastEvent[] {
  return useEvents(`alerts:${type}`, limit);
}

function useSeeded(topic: string, limit: number, past: () => Promise<ChaincastEvent[]>): readonly ChaincastEvent[] {
  const client = useChaincast();
  const store = useMemo(() => new Newest(limit), [client, topic, limit]);
  useEffect(() => {
    const stop = client.subscribe(topic, store.take);
    past().then(store.begin, () => undefined); // what is live comes anyway
    return stop;
  }, [client, topic, store]);
  return useSyncExternalStore(store.watch, store.read, store.read);
}

/** The newest events, by time; told about at most once a frame. */
class Newest {
  readonly #limit: number;
  readonly #watchers = new Set<() => void>();
  #events: readonly ChaincastEvent[] = [];
  #fresh: ChaincastEvent[] = [];
  #retracted = new Set<string>();
  #scheduled = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  readonly take = (event: ChaincastEvent, retracted: boolean): void => {
    if (retracted) this.#retracted.add(event.id);
    else {
      this.#retracted.delete(event.id);
      this.#fresh.push(event);
    }
    this.#schedule();
  };

  /** What was there before. */
  readonly begin = (events: readonly (ChaincastEvent | null)[]): void => {
    for (const event of events) if (event) this.#fresh.push(event);
    this.#schedule();
  };

  readonly watch = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  };

  readonly read = (): readonly ChaincastEvent[] => this.#events;

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // A hidden page has no frames.
    if (typeof requestAnimationFrame === "undefined" || document.hidden) setTimeout(this.#apply);
    else requestAnimationFrame(this.#apply);
  }

  #apply = (): void => {
    this.#scheduled = false;
    const all = new Map([...this.#fresh.reverse(), ...this.#events].map((event) => [event.id, event]));
    for (const id of this.#retracted) all.delete(id);
    this.#events = [...all.values()].sort((a, b) => b.timestamp - a.timestamp).slice(0, this.#limit);
    this.#fresh = [];
    this.#retracted.clear();
    for (const watcher of this.#watchers) watcher();
  };
}
