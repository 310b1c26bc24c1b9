import type { ChaincastEvent } from "./protocol.js";

/** An event that waits for its handlers: a new one, or one that a reorganisation of the chain undid. */
export interface PendingEvent {
  event: ChaincastEvent;
  retracted: boolean;
}

const SLICE_MS = 8;
/** Kinds whose waiting events are replaced by a newer one of the same token or symbol. */
const CONFLATED = new Set(["price", "order_book"]);

/**
 * Queue between the socket and the page's handlers. Handlers run in slices, so that the page keeps painting during a burst;
 * a waiting price that a newer one replaces is never delivered.
 */
export class Inbox {
  readonly #deliver: (pending: PendingEvent) => void;
  readonly #drained: () => void;
  readonly #waiting = new Map<string, PendingEvent>();
  readonly #newest = new Map<string, string>();
  #scheduled = false;

  constructor(deliver: (pending: PendingEvent) => void, drained: () => void) {
    this.#deliver = deliver;
    this.#drained = drained;
  }

  get size(): number {
    return this.#waiting.size;
  }

  add(event: ChaincastEvent): void {
    if (this.#waiting.get(event.id)?.retracted) {
      this.#waiting.delete(event.id); // retracted and sent again before the handlers saw either
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

  /** Retract an event. If it still waits, its handlers receive neither the event nor the retraction. */
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
    // A hidden page needs no slices, and browsers throttle its timers.
    const hidden = typeof document !== "undefined" && document.hidden;
    const ends = hidden ? Infinity : performance.now() + SLICE_MS;
    for (const [id, pending] of this.#waiting) {
      this.#waiting.delete(id);
      this.#deliver(pending);
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
