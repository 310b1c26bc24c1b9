const TICK_MS = 15_000;
const SLEPT_MS = 3 * TICK_MS;

/** Whether the machine has a network and the page is looked at; in Node.js, always. `look`: see whether all is well. */
export class Attention {
  online = typeof navigator === "undefined" || navigator.onLine !== false;
  readonly #stop = new AbortController();
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(look: () => void, lost: () => void) {
    const { signal } = this.#stop;
    if (typeof window !== "undefined") {
      const turn = (online: boolean) => () => {
        this.online = online;
        (online ? look : lost)();
      };
      window.addEventListener("online", turn(true), { signal });
      window.addEventListener("offline", turn(false), { signal });
      document.addEventListener("visibilitychange", () => document.hidden || look(), { signal });
    }
    let ticked = Date.now();
    this.#timer = setInterval(() => {
      const slept = Date.now() - ticked > SLEPT_MS; // a lid was closed: timers stood still
      ticked = Date.now();
      if (slept) look();
    }, TICK_MS);
    (this.#timer as { unref?: () => void }).unref?.();
  }

  end(): void {
    this.#stop.abort();
    clearInterval(this.#timer);
  }
}
