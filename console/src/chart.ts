import { AreaSeries, createChart, type IChartApi, type ISeriesApi, type UTCTimestamp } from "lightweight-charts";
import type { ChaincastEvent } from "chaincast-client";
import { byId, setText } from "./dom.js";
import { amount, change, price, short, units } from "./format.js";
import type { Token } from "./model.js";
import { Series } from "./series.js";
import { colours } from "./theme.js";

/** The price of one token over time, and its current price, volume and liquidity. */
export class PriceChart {
  readonly #box = byId("chart");
  readonly #chart: IChartApi;
  readonly #line: ISeriesApi<"Area">;
  #series = new Series();
  /** Prices are drawn as multiples of this unit, because the chart has a fixed minimum step. */
  #unit = 1;
  #change: "last" | "all" | "none" = "none";

  constructor() {
    this.#chart = createChart(this.#box, {
      autoSize: true,
      localization: { locale: "en" }, // like the rest of the page; a browser's default is not always a valid locale
      layout: { attributionLogo: false, fontFamily: getComputedStyle(document.body).fontFamily }, // the footer has the attribution
      timeScale: { timeVisible: true, secondsVisible: true, rightOffset: 4, borderVisible: false },
      rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.12, bottom: 0.08 }, minimumWidth: 84 },
      handleScroll: { vertTouchDrag: false }, // so that a phone's page can be scrolled over the chart
    });
    const format = { type: "custom", minMove: 0.0001, formatter: (value: number) => price(value * this.#unit) } as const;
    this.#line = this.#chart.addSeries(AreaSeries, { priceFormat: format, lineWidth: 2, lastPriceAnimation: 0 });
    this.applyTheme();
  }

  /** Apply the colours of the theme. */
  applyTheme(): void {
    const { text, line, grid } = colours();
    this.#chart.applyOptions({
      layout: { background: { color: "transparent" }, textColor: text },
      grid: { vertLines: { color: grid }, horzLines: { color: grid } },
      crosshair: { vertLine: { labelBackgroundColor: line }, horzLine: { labelBackgroundColor: line } },
    });
    this.#line.applyOptions({ lineColor: line, topColor: `${line}40`, bottomColor: `${line}05` });
  }

  /** Start with an empty series, for another token. */
  reset(): void {
    this.#series = new Series();
    this.#change = "all";
  }

  /** Add a price event, or remove a retracted one. */
  apply(event: ChaincastEvent, retracted: boolean): void {
    const changed = this.#series.apply(event, retracted);
    if (changed === "all" || (changed === "last" && this.#change === "none")) this.#change = changed;
    else if (changed === "last" && this.#change === "last") this.#change = "all"; // these may be two points: draw both
  }

  /** Draw what changed since the last call. */
  render(token: Token | undefined): void {
    this.#describe(token);
    if (this.#change === "none") return;
    const { points } = this.#series;
    const last = points.at(-1);
    if (this.#change === "all" || !last) {
      const first = points[0];
      this.#unit = first ? 10 ** Math.floor(Math.log10(first.value)) : 1;
      this.#line.setData(points.map((point) => this.#scaled(point.time, point.value)));
    } else this.#line.update(this.#scaled(last.time, last.value));
    this.#change = "none";
  }

  #scaled(time: number, value: number): { time: UTCTimestamp; value: number } {
    return { time: time as UTCTimestamp, value: value / this.#unit };
  }

  #describe(token: Token | undefined): void {
    const data = token?.price?.data;
    const moved = (data?.change_24h ?? null) as number | null;
    const cost = data?.price ? price(Number(data.price)) : "–";
    setText(byId("chosen-name"), token ? `${token.symbol || short(token.address)} ` : "No token yet");
    setText(byId("chosen-about"), token ? `${token.name} · ${token.network} · ${short(token.address)}` : "The first token that trades is shown here.");
    setText(byId("chosen-price"), token ? cost : "");
    setText(byId("chosen-change"), change(moved));
    byId("chosen-change").className = moved === null || moved === 0 ? "" : moved > 0 ? "up" : "down";
    setText(byId("chosen-volume"), data ? amount(units(data.volume_24h)) : "–");
    setText(byId("chosen-liquidity"), data ? amount(units(data.liquidity)) : "–");
    setText(byId("chosen-trades"), data ? amount(Number(data.trades ?? NaN)) : "–");
    const label = token ? `Price of ${token.symbol}: ${cost}, ${change(moved) || "no change"} in 24 hours` : "No token yet";
    if (this.#box.getAttribute("aria-label") !== label) this.#box.setAttribute("aria-label", label);
  }
}
