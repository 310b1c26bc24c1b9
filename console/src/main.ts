import { ChaincastError, connect, type Chaincast, type ChaincastEvent, type State } from "chaincast-client";
import { PriceChart } from "./chart.js";
import { byId, InteractionMonitor, setText } from "./dom.js";
import { Feed } from "./feed.js";
import { milliseconds } from "./format.js";
import { Model } from "./model.js";
import { isAlert, networkOf, tokenOf } from "./rows.js";
import { readSettings, type Settings } from "./settings.js";
import { signIn, storedToken } from "./signin.js";
import { Tabs } from "./tabs.js";
import { initTheme } from "./theme.js";
import { Toasts } from "./toasts.js";
import { TokenList } from "./tokens.js";

/** All public topics. Those that the stack refuses are left out. */
const TOPICS = ["network:*", "alerts:*", "price:*", "trade:*", "orderbook:*", "events:*:*", "system"];
const FEEDS_MS = 100;
const METRICS_MS = 500;
const HISTORY_PAGES = 3;
/** Number of tokens to request at the start, of all networks together: requests are rate-limited ([limits]). */
const FIRST_TOKENS = 20;

const STATE_TEXTS: Record<State, string> = {
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
    new Feed(byId("panel-trades"), this.#model.trades, ["Time", "Token", "Side", "Amount", "Paid", "Price"], "Newest trades", "No trades yet. They appear here as soon as a block contains one."),
    new Feed(byId("panel-events"), this.#model.events, ["Time", "Network", "Event", "Details"], "Newest events of every kind", "No events yet. They appear here as soon as a block contains an event of your contracts."),
    new Feed(byId("panel-alerts"), this.#model.alerts, ["Time", "Alert", "Message"], "Newest alerts", "No alerts yet."),
  ];
  readonly #feedsInteraction = new InteractionMonitor(byId("feeds"));
  /** Key of the token in the chart, and whether the user chose it. */
  #chosen: string | undefined;
  #chosenByUser = false;
  #paused = false;
  /** Number of events received since the page was paused. */
  #unseen = 0;
  #feedsAt = 0;
  #metricsAt = 0;

  constructor(settings: Settings) {
    initTheme(() => this.#chart.applyTheme());
    const token = storedToken();
    this.#client = connect(settings.url, {
      ...(token ? { token } : {}),
      onState: (state) => this.#onState(state),
      onGap: (source) => this.#toasts.add("warn", "Gap", `Events of ${source} may be missing: this page was disconnected for too long.`),
      onError: (error) => this.#onError(error),
    });
    this.#client.subscribe(TOPICS, (event, retracted) => this.#onEvent(event, retracted));
    const tokens = Math.max(2, Math.floor(FIRST_TOKENS / settings.networks.length));
    for (const network of settings.networks) void this.#loadTokens(network, tokens);
    byId("pause").addEventListener("click", () => this.#setPaused(!this.#paused));
    signIn(settings.auth);
    requestAnimationFrame(this.#frame);
  }

  #onEvent(event: ChaincastEvent, retracted: boolean): void {
    this.#model.apply(event, retracted, Date.now());
    if (this.#paused) this.#unseen += 1;
    const key = tokenOf(event);
    if (event.kind === "price" && key !== undefined) {
      if (this.#chosen === undefined || (key !== this.#chosen && !this.#chosenByUser && !this.#model.tokens.has(this.#chosen))) this.#show(key);
      if (key === this.#chosen) {
        this.#chart.apply(event, retracted);
        if (retracted) void this.#loadPrice(key);
      }
    }
    if (isAlert(event) && !retracted && !this.#paused) this.#showAlert(event);
  }

  #showAlert(event: ChaincastEvent): void {
    const [row] = this.#model.alerts.rows;
    const network = networkOf(event);
    const type = row?.cells[1] || "system";
    if (row) this.#toasts.add(row.tone, `${type.charAt(0).toUpperCase()}${type.slice(1)} alert${network ? ` on ${network}` : ""}`, row.cells[2] ?? "");
  }

  /** Load the newest tokens of a network, with their prices, from before the page was opened. */
  async #loadTokens(network: string, limit: number): Promise<void> {
    try {
      const { events } = await this.#client.getTokens(network, { limit });
      for (const event of events.reverse()) this.#model.updateToken(event);
      await Promise.all(events.map((event) => this.#loadPrice(`${network}:${event.token}`)));
    } catch {
      // Live events arrive without the older ones, too.
    }
  }

  /** Load the stored price of a token: at the start, and after a price was retracted. */
  async #loadPrice(key: string): Promise<void> {
    const [network = "", address = ""] = key.split(":");
    const price = await this.#client.getPrice(network, address).catch(() => null);
    if (price === null) return;
    this.#model.updateToken(price);
    if (this.#chosen === undefined) this.#show(key.toLowerCase());
  }

  #choose(key: string): void {
    this.#chosenByUser = true;
    this.#show(key);
  }

  #show(key: string): void {
    this.#chosen = this.#model.pinned = key;
    this.#tokens.choose(key);
    this.#chart.reset();
    void this.#loadPrices(key);
  }

  /** Load the price history of a token into the chart, until another token is chosen. */
  async #loadPrices(key: string): Promise<void> {
    const [network = "", address = ""] = key.split(":");
    let before: string | null = null;
    try {
      for (let page = 0; page < HISTORY_PAGES && key === this.#chosen; page++) {
        const history: { events: ChaincastEvent[]; before: string | null } = await this.#client.getPrices(network, address, {
          limit: 100,
          ...(before ? { before } : {}),
        });
        if (key !== this.#chosen) return;
        for (const event of history.events.reverse()) this.#chart.apply(event, false);
        if ((before = history.before) === null) return;
      }
    } catch {
      // Live prices arrive without the older ones, too.
    }
  }

  #setPaused(paused: boolean): void {
    this.#paused = paused;
    this.#unseen = 0;
    const button = byId("pause");
    button.setAttribute("aria-pressed", String(paused));
    setText(byId("pause-text"), paused ? "Resume" : "Pause");
  }

  #onState(state: State): void {
    const pill = byId("state");
    pill.dataset.state = state;
    setText(pill, STATE_TEXTS[state]);
  }

  #onError(error: unknown): void {
    if (error instanceof ChaincastError && /_TOPIC$/.test(error.code)) return; // a topic that this stack does not offer
    this.#toasts.add("bad", "Error", error instanceof Error ? error.message : String(error));
  }

  /** Draw what changed. Feeds are drawn several times a second; the metrics less often, so that they can be read. */
  readonly #frame = (now: number): void => {
    requestAnimationFrame(this.#frame);
    if (!this.#paused && now - this.#feedsAt >= FEEDS_MS) {
      this.#feedsAt = now;
      this.#tokens.render();
      this.#chart.render(this.#chosen === undefined ? undefined : this.#model.tokens.get(this.#chosen));
      if (!this.#feedsInteraction.active) for (const feed of this.#feeds) feed.render();
      this.#model.markPainted(Date.now());
    }
    if (now - this.#metricsAt >= METRICS_MS) {
      this.#metricsAt = now;
      this.#renderMetrics();
    }
  };

  #renderMetrics(): void {
    const latency = this.#model.latency();
    setText(byId("rate"), this.#model.rate(Date.now()).toFixed(1));
    setText(byId("latency"), latency === null ? "–" : milliseconds(latency));
    setText(byId("total"), this.#model.total.toLocaleString("en"));
    if (this.#paused) setText(byId("pause-text"), `Resume (${this.#unseen.toLocaleString("en")} new)`);
  }
}

try {
  new Page(await readSettings());
} catch (error) {
  const pill = byId("state");
  pill.dataset.state = "closed";
  setText(pill, error instanceof Error ? error.message : String(error));
}
