import type { ChaincastEvent } from "chaincast-client";

export interface Point {
  /** Seconds since 1970. */
  time: number;
  value: number;
}

/** Minimum number of points that are kept. */
const MIN_POINTS = 1_000;
/** Number of points above the minimum at which this many of the oldest are removed at once. The chart must then redraw all. */
const SPARE_POINTS = 200;

/** The prices of a token by second, in a bounded number: the newest of each second, without retracted ones. */
export class Series {
  readonly #byTime = new Map<number, { id: string; timestamp: number; value: number }>();
  #sorted: Point[] | null = [];

  /** Add a price event, or remove a retracted one. Returns which points changed; `last` includes a new last point. */
  apply(event: ChaincastEvent, retracted: boolean): "last" | "all" | "none" {
    const value = Number(event.data.price ?? NaN);
    const time = Math.floor(event.timestamp / 1000);
    const current = this.#byTime.get(time);
    if (retracted) {
      if (current?.id !== event.id) return "none";
      this.#byTime.delete(time);
      this.#sorted = null;
      return "all";
    }
    if (!(value > 0) || (current && current.timestamp > event.timestamp)) return "none";
    const last = this.points.at(-1);
    this.#byTime.set(time, { id: event.id, timestamp: event.timestamp, value });
    if (last?.time === time) last.value = value;
    else if (last && time < last.time) this.#sorted = null;
    else this.#sorted?.push({ time, value });
    if (this.#byTime.size > MIN_POINTS + SPARE_POINTS) {
      for (const { time: old } of this.points.slice(0, SPARE_POINTS)) this.#byTime.delete(old);
      this.#sorted = null;
    }
    return this.#sorted === null ? "all" : "last";
  }

  /** The points in order of time. */
  get points(): readonly Point[] {
    this.#sorted ??= [...this.#byTime].map(([time, { value }]) => ({ time, value })).sort((a, b) => a.time - b.time);
    return this.#sorted;
  }
}
