import { Attended, byId, make, say } from "./dom.js";
import { change, price, short } from "./format.js";
import type { Model, Token } from "./model.js";

/** So many are in the list. */
const SHOWN = 40;
/** As high is one of them (style.css). */
const ROW_REM = 3.5;

interface Item {
  item: HTMLLIElement;
  button: HTMLButtonElement;
  symbol: HTMLElement;
  name: HTMLElement;
  price: HTMLElement;
  change: HTMLElement;
}

/** Tokens, the newest on top. A token keeps its place while somebody points at the list: what is new waits. */
export class TokenList {
  readonly #model: Model;
  readonly #choose: (key: string) => void;
  readonly #list = byId<HTMLUListElement>("tokens");
  readonly #empty = byId("tokens-empty");
  readonly #items = new Map<string, Item>();
  readonly #attended = new Attended(this.#list);
  #version = -1;
  #chosen: string | undefined;

  constructor(model: Model, choose: (key: string) => void) {
    this.#model = model;
    this.#choose = choose;
  }

  choose(key: string): void {
    this.#chosen = key;
    for (const [other, { button }] of this.#items) button.setAttribute("aria-pressed", String(other === key));
  }

  render(): void {
    if (this.#version === this.#model.tokensVersion) return;
    this.#version = this.#model.tokensVersion;
    if (!this.#attended.held) this.#arrange();
    for (const [key, item] of this.#items) {
      const token = this.#model.tokens.get(key);
      if (token) this.#write(item, token);
    }
    this.#empty.hidden = this.#items.size > 0;
  }

  /** Those that should be in the list, in their order; what stands where it should is not touched. */
  #arrange(): void {
    const tokens = this.#model.newestTokens(SHOWN);
    const keys = new Set(tokens.map((token) => token.key));
    for (const [key, { item }] of this.#items) {
      if (keys.has(key)) continue;
      item.remove();
      this.#items.delete(key);
    }
    let place = this.#list.firstElementChild;
    tokens.forEach((token, number) => {
      const { item } = this.#items.get(token.key) ?? this.#make(token);
      if (item === place) place = place.nextElementSibling;
      else this.#list.insertBefore(item, place);
      // Where it stands is no matter of layout: a newcomer moves the others without the page being laid out anew.
      const where = `translateY(${number * ROW_REM}rem)`;
      if (item.style.transform !== where) item.style.transform = where;
    });
  }

  #make(token: Token): Item {
    const item = make("li");
    const button = make("button", "token");
    button.type = "button";
    button.setAttribute("aria-pressed", String(token.key === this.#chosen));
    button.addEventListener("click", () => this.#choose(token.key));
    const made = { item, button, symbol: make("strong"), price: make("span", "price"), name: make("span", "name"), change: make("span", "change") };
    button.append(made.symbol, made.price, made.name, made.change);
    item.append(button);
    this.#items.set(token.key, made);
    return made;
  }

  #write(item: Item, token: Token): void {
    const data = token.price?.data;
    const moved = (data?.change_24h ?? null) as number | null;
    say(item.symbol, token.symbol || short(token.address));
    say(item.name, `${token.name} · ${token.network}`);
    say(item.price, data?.price ? price(Number(data.price)) : "–");
    say(item.change, change(moved));
    const tone = moved === null || moved === 0 ? "change" : moved > 0 ? "change up" : "change down";
    if (item.change.className !== tone) item.change.className = tone;
  }
}
