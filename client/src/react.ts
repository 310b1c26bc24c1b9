/** Hooks for React 18 and later. Each re-renders at most once per frame, regardless of the number of events. */
import { createContext, createElement, useContext, useEffect, useMemo, useSyncExternalStore, type ReactNode } from "react";
import type { Chaincast } from "./client.js";
import type { ChaincastEvent } from "./protocol.js";
import type { State } from "./session.js";

/** Number of prices to keep, so that an older one can take the place of a retracted one. */
const FALLBACKS = 5;

const Context = createContext<Chaincast | null>(null);

/** Provides a client to the components inside. */
export function ChaincastProvider(props: { client: Chaincast; children?: ReactNode }): ReactNode {
  return createElement(Context.Provider, { value: props.client }, props.children);
}

/** Return the client. Throws outside a `ChaincastProvider`. */
export function useChaincast(): Chaincast {
  const client = useContext(Context);
  if (client === null) throw new Error("useChaincast: no <ChaincastProvider client={connect(url)}> around this component");
  return client;
}

/** Return the connection's state: `open`, or the reason why no events arrive. */
export function useConnectionState(): State {
  const client = useChaincast();
  return useSyncExternalStore(
    (changed) => client.watch(changed),
    () => client.state,
    () => "connecting",
  );
}

/** Return the newest events of some topics, newest first, at most `limit`. */
export function useEvents(topics: string | readonly string[], limit = 50): readonly ChaincastEvent[] {
  const client = useChaincast();
  const names = [topics].flat().join(" ");
  const store = useMemo(() => new NewestEvents(limit), [client, names, limit]);
  useEffect(() => {
    if (names === "") return undefined;
    return client.subscribe(names.split(" "), store.add, (snapshot) => store.seed([snapshot.price, snapshot.latest_trade]));
  }, [client, names, store]);
  return useSyncExternalStore(store.watch, store.read, store.read);
}

/** Return all events of one token (creation, trades, prices, alerts), newest first. */
export function useTokenUpdates(token: string, network: string, limit = 50): readonly ChaincastEvent[] {
  return useEvents(`token:${network}:${token}`, limit);
}

/** Return a token's newest price, or `null`: the stored one when the component mounts, then live. */
export function usePrice(token: string, network: string): ChaincastEvent | null {
  const client = useChaincast();
  const [newest] = useSeeded(`prices:${network}:${token}`, FALLBACKS, async () => {
    const price = await client.getPrice(network, token);
    return price ? [price] : [];
  });
  return newest ?? null;
}

/** Return a token's trades, newest first: the stored ones when the component mounts, then live. */
export function useTrades(token: string, network: string, limit = 20): readonly ChaincastEvent[] {
  const client = useChaincast();
  return useSeeded(`trades:${network}:${token}`, limit, async () => (await client.getTrades(network, token, { limit })).events);
}

/** Return alerts of one type (`price`, `volume`, `whale`, `rug`; default all) since the component mounted, newest first. */
export function useAlerts(type = "*", limit = 20): readonly ChaincastEvent[] {
  return useEvents(`alerts:${type}`, limit);
}

function useSeeded(topic: string, limit: number, load: () => Promise<ChaincastEvent[]>): readonly ChaincastEvent[] {
  const client = useChaincast();
  const store = useMemo(() => new NewestEvents(limit), [client, topic, limit]);
  useEffect(() => {
    const stop = client.subscribe(topic, store.add);
    load().then(store.seed, () => undefined); // live events arrive without the stored ones
    return stop;
  }, [client, topic, store]);
  return useSyncExternalStore(store.watch, store.read, store.read);
}

/** Store of the newest events by time, which notifies its watchers at most once per frame. */
class NewestEvents {
  readonly #limit: number;
  readonly #watchers = new Set<() => void>();
  #events: readonly ChaincastEvent[] = [];
  #fresh: ChaincastEvent[] = [];
  #retracted = new Set<string>();
  #scheduled = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  readonly add = (event: ChaincastEvent, retracted: boolean): void => {
    if (retracted) this.#retracted.add(event.id);
    else {
      this.#retracted.delete(event.id);
      this.#fresh.push(event);
    }
    this.#schedule();
  };

  /** Add stored events. */
  readonly seed = (events: readonly (ChaincastEvent | null)[]): void => {
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
    // A hidden page has no animation frames.
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
