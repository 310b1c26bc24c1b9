import { byId } from "./dom.js";

/** Tabs that follow the pattern of the ARIA Authoring Practices Guide: an arrow key moves to a tab and shows its panel. */
export class Tabs {
  readonly #tabs: HTMLButtonElement[];

  constructor(list: HTMLElement) {
    this.#tabs = [...list.querySelectorAll<HTMLButtonElement>("[role=tab]")];
    for (const tab of this.#tabs) tab.addEventListener("click", () => this.show(tab.id));
    list.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step === undefined) return;
      const current = this.#tabs.findIndex((tab) => tab.getAttribute("aria-selected") === "true");
      const next = this.#tabs[(current + step + this.#tabs.length) % this.#tabs.length];
      if (next) this.show(next.id);
      next?.focus();
      event.preventDefault();
    });
  }

  /** Select the tab with an id. */
  show(id: string): void {
    for (const tab of this.#tabs) {
      const selected = tab.id === id;
      tab.setAttribute("aria-selected", String(selected));
      tab.tabIndex = selected ? 0 : -1;
      byId(tab.getAttribute("aria-controls") ?? "").hidden = !selected;
    }
  }
}
