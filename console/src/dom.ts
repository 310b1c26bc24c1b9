/** Return the element with an id. */
export function byId<T extends HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`index.html has no element #${id}`);
  return element as T;
}

/** Create an element. Its content is set as text, because names of tokens are untrusted. */
export function make<K extends keyof HTMLElementTagNameMap>(tag: K, className = "", text = ""): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

/** Set the text of an element if it changed, so that the page is laid out only for changes. */
export function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Tracks whether the user points at a part of the page or has the keyboard focus in it; then it should not move. */
export class InteractionMonitor {
  #hovered = false;
  readonly #element: HTMLElement;

  constructor(element: HTMLElement) {
    this.#element = element;
    element.addEventListener("pointerenter", (event) => (this.#hovered = event.pointerType === "mouse"));
    element.addEventListener("pointerleave", () => (this.#hovered = false));
  }

  get active(): boolean {
    return this.#hovered || (this.#element.contains(document.activeElement) && this.#element.matches(":has(:focus-visible)"));
  }
}
