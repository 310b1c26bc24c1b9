import type { ChaincastEvent } from "chaincast-client";

export interface Point {
  /** Seconds since 1970. */
  time: number;
  value: number;
}

/** So many points a chart shows, at least if there are as many; */
const POINTS = 1_000;
/** and so many more, before the oldest go together: whoever draws them must draw all anew then. */
const SPARE = 200;

/** A token's prices by the second, of bounded size: of one second, the newest; what is taken back is gone. */
export class Series {
  readonly #byTime = new Map<number, { id: string; timestamp: number; value: number }>();
  #sorted: Point[] | null = [];

  /** What a price event changes: `last`: only the newest point (or one after it); `all`; or nothing. */
  take(event: ChaincastEvent, retracted: boolean): "last" | "all" | "none" {
    const value = Number(event.data.price ?? NaN);
    const time = Math.floor(event.timestamp / 1000);
    const known = this.#byTime.get(time);
    if (retracted) {
      if (known?.id !== event.id) return "none";
      this.#byTime.delete(time);
      this.#sorted = null;
      return "all";
    }
    if (!(value > 0) || (known && known.timestamp > event.timestamp)) return "none";
    const last = this.points.at(-1);
    this.#byTime.set(time, { id: event.id, timestamp: event.timestamp, value });
    if (last?.time === time) last.value = value;
    else if (last && time < last.time) this.#sorted = null;
    else this.#sorted?.push({ time, value });
    if (this.#byTime.size > POINTS + SPARE) {
      for (const { time: old } of this.points.slice(0, SPARE)) this.#byTime.delete(old);
      this.#sorted = null;
    }
    return this.#sorted === null ? "all" : "last";
  }

  /** In the order of time. */
  get points(): readonly Point[] {
    this.#sorted ??= [...this.#byTime].map(([time, { value }]) => ({ time, value })).sort((a, b) => a.time - b.time);
    return this.#sorted;
  }
}
