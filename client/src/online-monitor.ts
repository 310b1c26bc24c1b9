const TICK_MS = 15_000;
const SLEPT_MS = 3 * TICK_MS;

/** Watches the network and the page's visibility. Calls `check` when either returns or the machine wakes up, `lost` when the network goes. */
export class OnlineMonitor {
  online = typeof navigator === "undefined" || navigator.onLine !== false;
  readonly #stop = new AbortController();
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(check: () => void, lost: () => void) {
    const { signal } = this.#stop;
    if (typeof window !== "undefined") {
      const changed = (online: boolean) => () => {
        this.online = online;
        (online ? check : lost)();
      };
      window.addEventListener("online", changed(true), { signal });
      window.addEventListener("offline", changed(false), { signal });
      document.addEventListener("visibilitychange", () => document.hidden || check(), { signal });
    }
    let ticked = Date.now();
    this.#timer = setInterval(() => {
      const slept = Date.now() - ticked > SLEPT_MS; // timers stop while the machine sleeps
      ticked = Date.now();
      if (slept) check();
    }, TICK_MS);
    (this.#timer as { unref?: () => void }).unref?.();
  }

  end(): void {
    this.#stop.abort();
    clearInterval(this.#timer);
  }
}
