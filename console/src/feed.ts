import { make, say } from "./dom.js";
import type { Newest } from "./model.js";
import type { Row } from "./rows.js";

/** So many lines are on the page, from the start: nothing moves when they fill. */
const LINES = 26;

interface Line {
  line: HTMLTableRowElement;
  cells: HTMLTableCellElement[];
  /** Which row stands there, and how. */
  shown: string;
}

/** The newest of something as a table, whose lines are written anew, never made anew. */
export class Feed {
  readonly #lines: Line[] = [];
  readonly #newest: Newest;
  readonly #empty: HTMLElement;
  #version = -1;

  constructor(panel: HTMLElement, newest: Newest, columns: readonly string[], caption: string, empty: string) {
    this.#newest = newest;
    const table = make("table", "feed");
    table.append(make("caption", "hidden", caption));
    const head = table.createTHead().insertRow();
    for (const column of columns) {
      const cell = make("th", "", column);
      cell.scope = "col";
      head.append(cell);
    }
    const body = table.createTBody();
    for (let n = 0; n < LINES; n++) {
      const line = body.insertRow();
      line.hidden = true;
      this.#lines.push({ line, cells: columns.map(() => line.insertCell()), shown: "" });
    }
    this.#empty = make("p", "empty", empty);
    panel.replaceChildren(table, this.#empty);
  }

  render(): void {
    if (this.#version === this.#newest.version) return;
    this.#version = this.#newest.version;
    const rows = this.#newest.rows;
    this.#empty.hidden = rows.length > 0;
    this.#lines.forEach((line, number) => this.#write(line, rows[number]));
  }

  #write(place: Line, row: Row | undefined): void {
    const shown = row ? `${row.id} ${row.retracted}` : "";
    if (place.shown === shown) return;
    place.shown = shown;
    place.line.hidden = row === undefined;
    if (row === undefined) return;
    const tone = `${row.tone}${row.retracted ? " retracted" : ""}`;
    if (place.line.className !== tone) place.line.className = tone;
    // What a cell has no room for; and why it is struck out.
    const words = row.retracted ? "taken back by a reorganisation of the chain" : (row.cells.at(-1) ?? "");
    if (place.line.title !== words) place.line.title = words;
    place.cells.forEach((cell, number) => say(cell, row.cells[number] ?? ""));
  }
}
