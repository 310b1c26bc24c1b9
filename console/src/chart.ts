import { AreaSeries, createChart, type IChartApi, type ISeriesApi, type UTCTimestamp } from "lightweight-charts";
import type { ChaincastEvent } from "chaincast-client";
import { byId, say } from "./dom.js";
import { amount, change, price, short, units } from "./format.js";
import type { Token } from "./model.js";
import { Series } from "./series.js";
import { colours } from "./theme.js";

/** One token's price over time, and how it stands. */
export class PriceChart {
  readonly #box = byId("chart");
  readonly #chart: IChartApi;
  readonly #line: ISeriesApi<"Area">;
  #series = new Series();
  /** Prices are drawn as multiples of this: the chart counts in steps of a fixed size. */
  #unit = 1;
  #change: "last" | "all" | "none" = "none";

  constructor() {
    this.#chart = createChart(this.#box, {
      autoSize: true,
      localization: { locale: "en" }, // as all of the page; what a browser says of itself is not always a language
      layout: { attributionLogo: false, fontFamily: getComputedStyle(document.body).fontFamily }, // credited below, in words
      timeScale: { timeVisible: true, secondsVisible: true, rightOffset: 4, borderVisible: false },
      rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.12, bottom: 0.08 }, minimumWidth: 84 },
      handleScroll: { vertTouchDrag: false }, // or a phone's page cannot be scrolled over it
    });
    const format = { type: "custom", minMove: 0.0001, formatter: (value: number) => price(value * this.#unit) } as const;
    this.#line = this.#chart.addSeries(AreaSeries, { priceFormat: format, lineWidth: 2, lastPriceAnimation: 0 });
    this.paint();
  }

  /** In the colours of the theme. */
  paint(): void {
    const { text, line, grid } = colours();
    this.#chart.applyOptions({
      layout: { background: { color: "transparent" }, textColor: text },
      grid: { vertLines: { color: grid }, horzLines: { color: grid } },
      crosshair: { vertLine: { labelBackgroundColor: line }, horzLine: { labelBackgroundColor: line } },
    });
    this.#line.applyOptions({ lineColor: line, topColor: `${line}40`, bottomColor: `${line}05` });
  }

  /** Another token: nothing is known of it yet. */
  begin(): void {
    this.#series = new Series();
    this.#change = "all";
  }

  take(event: ChaincastEvent, retracted: boolean): void {
    const changed = this.#series.take(event, retracted);
    if (changed === "all" || (changed === "last" && this.#change === "none")) this.#change = changed;
    else if (changed === "last" && this.#change === "last") this.#change = "all"; // maybe two points: draw both
  }

  render(token: Token | undefined): void {
    this.#describe(token);
    if (this.#change === "none") return;
    const { points } = this.#series;
    const last = points.at(-1);
    if (this.#change === "all" || !last) {
      const first = points[0];
      this.#unit = first ? 10 ** Math.floor(Math.log10(first.value)) : 1;
      this.#line.setData(points.map((point) => this.#drawn(point.time, point.value)));
    } else this.#line.update(this.#drawn(last.time, last.value));
    this.#change = "none";
  }

  #drawn(time: number, value: number): { time: UTCTimestamp; value: number } {
    return { time: time as UTCTimestamp, value: value / this.#unit };
  }

  #describe(token: Token | undefined): void {
    const data = token?.price?.data;
    const moved = (data?.change_24h ?? null) as number | null;
    const cost = data?.price ? price(Number(data.price)) : "–";
    say(byId("chosen-name"), token ? `${token.symbol || short(token.address)} ` : "No token yet");
    say(byId("chosen-about"), token ? `${token.name} · ${token.network} · ${short(token.address)}` : "The first that trades is shown here.");
    say(byId("chosen-price"), token ? cost : "");
    say(byId("chosen-change"), change(moved));
    byId("chosen-change").className = moved === null || moved === 0 ? "" : moved > 0 ? "up" : "down";
    say(byId("chosen-volume"), data ? amount(units(data.volume_24h)) : "–");
    say(byId("chosen-liquidity"), data ? amount(units(data.liquidity)) : "–");
    say(byId("chosen-trades"), data ? amount(Number(data.trades ?? NaN)) : "–");
    const words = token ? `Price of ${token.symbol}: ${cost}, ${change(moved) || "no change"} in 24 hours` : "No token yet";
    if (this.#box.getAttribute("aria-label") !== words) this.#box.setAttribute("aria-label", words);
  }
}
