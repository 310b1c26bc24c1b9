/** An element that the page has. */
export function byId<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`index.html has no element #${id}`);
  return found as T;
}

/** A new element; what strangers wrote is only ever text. */
export function make<K extends keyof HTMLElementTagNameMap>(tag: K, className = "", text = ""): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

/** Set a text, if it is another: what does not change costs the page nothing. */
export function say(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Whether somebody is looking at a part of the page closely: it should hold still. */
export class Attended {
  #pointed = false;
  readonly #element: HTMLElement;

  constructor(element: HTMLElement) {
    this.#element = element;
    element.addEventListener("pointerenter", (event) => (this.#pointed = event.pointerType === "mouse"));
    element.addEventListener("pointerleave", () => (this.#pointed = false));
  }

  get held(): boolean {
    return this.#pointed || (this.#element.contains(document.activeElement) && this.#element.matches(":has(:focus-visible)"));
  }
}
