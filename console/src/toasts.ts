import { Attended, byId, make, say } from "./dom.js";

const MOST = 3;
const SECONDS = 8;

/** Alerts, for a few seconds each, in places of their own. Of a flood a few are shown, and how many more there are. */
export class Toasts {
  readonly #box = byId("toasts");
  readonly #more = byId<HTMLButtonElement>("more-alerts");
  readonly #attended = new Attended(this.#box);
  /** The toast in each place, and when it goes. */
  readonly #places: ({ toast: HTMLElement; ends: number } | undefined)[] = new Array(MOST).fill(undefined);
  #unshown = 0;

  constructor(showAll: () => void) {
    this.#more.addEventListener("click", () => {
      this.#forget();
      showAll();
    });
    setInterval(() => this.#tick(), 1000);
  }

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
    if (!this.#attended.held) this.#places.forEach((shown, place) => shown && shown.ends < now && this.#remove(place));
    if (this.#places.every((shown) => shown === undefined)) this.#forget();
    else if (this.#unshown > 0) {
      say(this.#more, `${this.#unshown} more in Alerts`);
      this.#more.hidden = false;
    }
  }

  #remove(place: number): void {
    this.#places[place]?.toast.remove();
    this.#places[place] = undefined;
  }

  #forget(): void {
    this.#unshown = 0;
    this.#more.hidden = true;
  }
}
