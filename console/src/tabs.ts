import { byId } from "./dom.js";

/** Tabs by the pattern of the ARIA Authoring Practices: arrows move, and show. */
export class Tabs {
  readonly #tabs: HTMLButtonElement[];

  constructor(list: HTMLElement) {
    this.#tabs = [...list.querySelectorAll<HTMLButtonElement>("[role=tab]")];
    for (const tab of this.#tabs) tab.addEventListener("click", () => this.show(tab.id));
    list.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step === undefined) return;
      const at = this.#tabs.findIndex((tab) => tab.getAttribute("aria-selected") === "true");
      const next = this.#tabs[(at + step + this.#tabs.length) % this.#tabs.length];
      if (next) this.show(next.id);
      next?.focus();
      event.preventDefault();
    });
  }

  show(id: string): void {
    for (const tab of this.#tabs) {
      const chosen = tab.id === id;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      byId(tab.getAttribute("aria-controls") ?? "").hidden = !chosen;
    }
  }
}
