import { byId, InteractionMonitor, make, setText } from "./dom.js";
import { change, price, short } from "./format.js";
import type { Model, Token } from "./model.js";

/** Number of tokens in the list. */
const MAX_TOKENS = 40;
/** Height of one token in rem, as in style.css. */
const ROW_REM = 3.5;

interface Item {
  item: HTMLLIElement;
  button: HTMLButtonElement;
  symbol: HTMLElement;
  name: HTMLElement;
  price: HTMLElement;
  change: HTMLElement;
}

/** The list of tokens, the newest on top. While the user points at the list, new tokens wait and nothing moves. */
export class TokenList {
  readonly #model: Model;
  readonly #choose: (key: string) => void;
  readonly #list = byId<HTMLUListElement>("tokens");
  readonly #empty = byId("tokens-empty");
  readonly #items = new Map<string, Item>();
  readonly #interaction = new InteractionMonitor(this.#list);
  #version = -1;
  #chosen: string | undefined;

  constructor(model: Model, choose: (key: string) => void) {
    this.#model = model;
    this.#choose = choose;
  }

  /** Mark a token as the chosen one. */
  choose(key: string): void {
    this.#chosen = key;
    for (const [other, { button }] of this.#items) button.setAttribute("aria-pressed", String(other === key));
  }

  /** Show the tokens if they changed. */
  render(): void {
    if (this.#version === this.#model.tokensVersion) return;
    this.#version = this.#model.tokensVersion;
    if (!this.#interaction.active) this.#arrange();
    for (const [key, item] of this.#items) {
      const token = this.#model.tokens.get(key);
      if (token) this.#write(item, token);
    }
    this.#empty.hidden = this.#items.size > 0;
  }

  /** Put the newest tokens into the list, in their order. Elements that are in place already are not touched. */
  #arrange(): void {
    const tokens = this.#model.newestTokens(MAX_TOKENS);
    const keys = new Set(tokens.map((token) => token.key));
    for (const [key, { item }] of this.#items) {
      if (keys.has(key)) continue;
      item.remove();
      this.#items.delete(key);
    }
    let next = this.#list.firstElementChild;
    tokens.forEach((token, number) => {
      const { item } = this.#items.get(token.key) ?? this.#make(token);
      if (item === next) next = next.nextElementSibling;
      else this.#list.insertBefore(item, next);
      // Items are positioned by transforms, so that a new token moves the others without a new layout of the page.
      const transform = `translateY(${number * ROW_REM}rem)`;
      if (item.style.transform !== transform) item.style.transform = transform;
    });
  }

  #make(token: Token): Item {
    const item = make("li");
    const button = make("button", "token");
    button.type = "button";
    button.setAttribute("aria-pressed", String(token.key === this.#chosen));
    button.addEventListener("click", () => this.#choose(token.key));
    const elements = { item, button, symbol: make("strong"), price: make("span", "price"), name: make("span", "name"), change: make("span", "change") };
    button.append(elements.symbol, elements.price, elements.name, elements.change);
    item.append(button);
    this.#items.set(token.key, elements);
    return elements;
  }

  #write(item: Item, token: Token): void {
    const data = token.price?.data;
    const moved = (data?.change_24h ?? null) as number | null;
    setText(item.symbol, token.symbol || short(token.address));
    setText(item.name, `${token.name} · ${token.network}`);
    setText(item.price, data?.price ? price(Number(data.price)) : "–");
    setText(item.change, change(moved));
    const tone = moved === null || moved === 0 ? "change" : moved > 0 ? "change up" : "change down";
    if (item.change.className !== tone) item.change.className = tone;
  }
}
