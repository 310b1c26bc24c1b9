import type { ChaincastEvent } from "./protocol.js";

/** What waits to be handled: an event that happened, or one that a reorganisation of the chain took back. */
export interface Parcel {
  event: ChaincastEvent;
  retracted: boolean;
}

const SLICE_MS = 8;
/** Of these, only the newest of a token or symbol is worth waiting for. */
const CONFLATED = new Set(["price", "order_book"]);

/**
 * Between the socket and the page's handlers. Handlers run in slices, so that a page goes on painting in a flood; what a
 * newer price makes stale while it waits is not told at all.
 */
export class Inbox {
  readonly #deliver: (parcel: Parcel) => void;
  readonly #drained: () => void;
  readonly #waiting = new Map<string, Parcel>();
  readonly #newest = new Map<string, string>();
  #scheduled = false;

  constructor(deliver: (parcel: Parcel) => void, drained: () => void) {
    this.#deliver = deliver;
    this.#drained = drained;
  }

  get size(): number {
    return this.#waiting.size;
  }

  add(event: ChaincastEvent): void {
    if (this.#waiting.get(event.id)?.retracted) {
      this.#waiting.delete(event.id); // taken back and told again: whoever has it keeps it
      return;
    }
    if (CONFLATED.has(event.kind)) {
      const about = `${event.kind} ${event.topics[0]}`;
      const stale = this.#newest.get(about);
      if (stale !== undefined && !this.#waiting.get(stale)?.retracted) this.#waiting.delete(stale);
      this.#newest.set(about, event.id);
    }
    this.#waiting.set(event.id, { event, retracted: false });
    this.#schedule();
  }

  /** An event is taken back: nobody is told of it if nobody was yet. */
  retract(event: ChaincastEvent): void {
    if (this.#waiting.delete(event.id)) return;
    this.#waiting.set(event.id, { event, retracted: true });
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(this.#run);
  }

  #run = (): void => {
    // Nobody sees a hidden page stutter, and its timers hardly run.
    const hidden = typeof document !== "undefined" && document.hidden;
    const ends = hidden ? Infinity : performance.now() + SLICE_MS;
    for (const [id, parcel] of this.#waiting) {
      this.#waiting.delete(id);
      this.#deliver(parcel);
      if (performance.now() > ends) break;
    }
    this.#scheduled = false;
    if (this.#waiting.size > 0) {
      this.#scheduled = true;
      setTimeout(this.#run);
    } else {
      this.#newest.clear();
      this.#drained();
    }
  };
}
