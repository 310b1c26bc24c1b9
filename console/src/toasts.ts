import { byId, InteractionMonitor, make, setText } from "./dom.js";

const MAX_TOASTS = 3;
const SECONDS = 8;

/** Alerts that are shown for a few seconds each, in fixed places. Alerts beyond the maximum are only counted. */
export class Toasts {
  readonly #box = byId("toasts");
  readonly #more = byId<HTMLButtonElement>("more-alerts");
  readonly #interaction = new InteractionMonitor(this.#box);
  /** The toast in each place, and the time (ms) when it is removed. */
  readonly #places: ({ toast: HTMLElement; ends: number } | undefined)[] = new Array(MAX_TOASTS).fill(undefined);
  #unshown = 0;

  constructor(showAll: () => void) {
    this.#more.addEventListener("click", () => {
      this.#clearCount();
      showAll();
    });
    setInterval(() => this.#tick(), 1000);
  }

  /** Show an alert if there is a free place, else count it. */
  add(tone: string, title: string, text: string): void {
    const place = this.#places.lastIndexOf(undefined);
    if (place < 0) {
      this.#unshown += 1;
      return;
    }
    const toast = make("div", `toast ${tone}`);
    toast.style.gridRow = String(place + 1);
    const close = make("button", "close", "×");
    close.type = "button";
    close.setAttribute("aria-label", `Dismiss: ${title}`);
    close.addEventListener("click", () => this.#remove(place));
    toast.append(make("strong", "", title), make("span", "", text), close);
    this.#places[place] = { toast, ends: Date.now() + SECONDS * 1000 };
    this.#box.append(toast);
  }

  #tick(): void {
    const now = Date.now();
    if (!this.#interaction.active) this.#places.forEach((shown, place) => shown && shown.ends < now && this.#remove(place));
    if (this.#places.every((shown) => shown === undefined)) this.#clearCount();
    else if (this.#unshown > 0) {
      setText(this.#more, `${this.#unshown} more in Alerts`);
      this.#more.hidden = false;
    }
  }

  #remove(place: number): void {
    this.#places[place]?.toast.remove();
    this.#places[place] = undefined;
  }

  #clearCount(): void {
    this.#unshown = 0;
    this.#more.hidden = true;
  }
}
