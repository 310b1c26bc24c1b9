import { ChaincastError, connect, type Chaincast, type ChaincastEvent, type State } from "chaincast-client";
import { PriceChart } from "./chart.js";
import { Attended, byId, say } from "./dom.js";
import { Feed } from "./feed.js";
import { milliseconds } from "./format.js";
import { Model } from "./model.js";
import { isAlert, networkOf, tokenOf } from "./rows.js";
import { readSettings, type Settings } from "./settings.js";
import { signIn, storedToken } from "./signin.js";
import { Tabs } from "./tabs.js";
import { beginTheme } from "./theme.js";
import { Toasts } from "./toasts.js";
import { TokenList } from "./tokens.js";

/** All that the public may listen to. What a stack refuses of it is left out. */
const TOPICS = ["network:*", "alerts:*", "price:*", "trade:*", "orderbook:*", "events:*:*", "system"];
const FEEDS_MS = 100;
const FIGURES_MS = 500;
const HISTORY_PAGES = 3;
/** Tokens that are asked for in the beginning, of all networks together: questions are counted ([limits]). */
const FIRST_TOKENS = 20;

const WORDS: Record<State, string> = {
  connecting: "Connecting…",
  open: "Live",
  waiting: "Reconnecting…",
  offline: "Offline",
  behind: "Catching up",
  closed: "Closed",
};

class Page {
  readonly #model = new Model();
  readonly #client: Chaincast;
  readonly #chart = new PriceChart();
  readonly #tabs = new Tabs(byId("tabs"));
  readonly #toasts = new Toasts(() => this.#tabs.show("tab-alerts"));
  readonly #tokens = new TokenList(this.#model, (key) => this.#choose(key));
  readonly #feeds = [
    new Feed(byId("panel-trades"), this.#model.trades, ["Time", "Token", "Side", "Amount", "Paid", "Price"], "Newest trades", "No trades yet: they appear here the moment a block brings them."),
    new Feed(byId("panel-events"), this.#model.events, ["Time", "Network", "Event", "What"], "Newest events of every kind", "No events yet: a block with any of your contracts' events appears here."),
    new Feed(byId("panel-alerts"), this.#model.alerts, ["Time", "Alert", "What"], "Newest alerts", "No alerts yet."),
  ];
  readonly #feedsAttended = new Attended(byId("feeds"));
  #chosen: string | undefined;
  #byHand = false;
  #paused = false;
  #behind = 0;
  #feedsAt = 0;
  #figuresAt = 0;

  constructor(settings: Settings) {
    beginTheme(() => this.#chart.paint());
    const token = storedToken();
    this.#client = connect(settings.url, {
      ...(token ? { token } : {}),
      onState: (state) => this.#state(state),
      onGap: (source) => this.#toasts.add("warn", "Gap", `Events of ${source} may be missing: this page was away for too long.`),
      onError: (error) => this.#refused(error),
    });
    this.#client.subscribe(TOPICS, (event, retracted) => this.#take(event, retracted));
    const tokens = Math.max(2, Math.floor(FIRST_TOKENS / settings.networks.length));
    for (const network of settings.networks) void this.#begin(network, tokens);
    byId("pause").addEventListener("click", () => this.#pause(!this.#paused));
    signIn(settings.auth);
    requestAnimationFrame(this.#frame);
  }

  #take(event: ChaincastEvent, retracted: boolean): void {
    this.#model.take(event, retracted, Date.now());
    if (this.#paused) this.#behind += 1;
    const key = tokenOf(event);
    if (event.kind === "price" && key !== undefined) {
      if (this.#chosen === undefined || (key !== this.#chosen && !this.#byHand && !this.#model.tokens.has(this.#chosen))) this.#show(key);
      if (key === this.#chosen) {
        this.#chart.take(event, retracted);
        if (retracted) void this.#priceOf(key);
      }
    }
    if (isAlert(event) && !retracted && !this.#paused) this.#alert(event);
  }

  #alert(event: ChaincastEvent): void {
    const [row] = this.#model.alerts.rows;
    const where = networkOf(event);
    const type = row?.cells[1] || "system";
    if (row) this.#toasts.add(row.tone, `${type.charAt(0).toUpperCase()}${type.slice(1)} alert${where ? ` on ${where}` : ""}`, row.cells[2] ?? "");
  }

  /** What was there before this page. */
  async #begin(network: string, limit: number): Promise<void> {
    try {
      const { events } = await this.#client.getTokens(network, { limit });
      for (const event of events.reverse()) this.#model.note(event);
      await Promise.all(events.map((event) => this.#priceOf(`${network}:${event.token}`)));
    } catch {
      // What is live comes anyway.
    }
  }

  /** A token's price as it is kept: at first, and after one was taken back. */
  async #priceOf(key: string): Promise<void> {
    const [network = "", address = ""] = key.split(":");
    const price = await this.#client.getPrice(network, address).catch(() => null);
    if (price === null) return;
    this.#model.note(price);
    if (this.#chosen === undefined) this.#show(key.toLowerCase());
  }

  #choose(key: string): void {
    this.#byHand = true;
    this.#show(key);
  }

  #show(key: string): void {
    this.#chosen = this.#model.kept = key;
    this.#tokens.choose(key);
    this.#chart.begin();
    void this.#history(key);
  }

  async #history(key: string): Promise<void> {
    const [network = "", address = ""] = key.split(":");
    let before: string | null = null;
    try {
      for (let page = 0; page < HISTORY_PAGES && key === this.#chosen; page++) {
        const told: { events: ChaincastEvent[]; before: string | null } = await this.#client.getPrices(network, address, {
          limit: 100,
          ...(before ? { before } : {}),
        });
        if (key !== this.#chosen) return;
        for (const event of told.events.reverse()) this.#chart.take(event, false);
        if ((before = told.before) === null) return;
      }
    } catch {
      // What is live comes anyway.
    }
  }

  #pause(paused: boolean): void {
    this.#paused = paused;
    this.#behind = 0;
    const button = byId("pause");
    button.setAttribute("aria-pressed", String(paused));
    say(byId("pause-words"), paused ? "Resume" : "Pause");
  }

  #state(state: State): void {
    const pill = byId("state");
    pill.dataset.state = state;
    say(pill, WORDS[state]);
  }

  #refused(error: unknown): void {
    if (error instanceof ChaincastError && /_TOPIC$/.test(error.code)) return; // not for everybody here
    this.#toasts.add("bad", "Error", error instanceof Error ? error.message : String(error));
  }

  /** Whatever came since the last frame is shown at once; texts that nobody can read that fast, less often. */
  readonly #frame = (now: number): void => {
    requestAnimationFrame(this.#frame);
    if (!this.#paused && now - this.#feedsAt >= FEEDS_MS) {
      this.#feedsAt = now;
      this.#tokens.render();
      this.#chart.render(this.#chosen === undefined ? undefined : this.#model.tokens.get(this.#chosen));
      if (!this.#feedsAttended.held) for (const feed of this.#feeds) feed.render();
      this.#model.painted(Date.now());
    }
    if (now - this.#figuresAt >= FIGURES_MS) {
      this.#figuresAt = now;
      this.#figures();
    }
  };

  #figures(): void {
    const latency = this.#model.latency();
    say(byId("rate"), this.#model.rate(Date.now()).toFixed(1));
    say(byId("latency"), latency === null ? "–" : milliseconds(latency));
    say(byId("total"), this.#model.total.toLocaleString("en"));
    if (this.#paused) say(byId("pause-words"), `Resume (${this.#behind.toLocaleString("en")} new)`);
  }
}

try {
  new Page(await readSettings());
} catch (error) {
  const pill = byId("state");
  pill.dataset.state = "closed";
  say(pill, error instanceof Error ? error.message : String(error));
}
