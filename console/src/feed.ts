import { make, setText } from "./dom.js";
import type { RecentRows } from "./model.js";
import type { Row } from "./rows.js";

/** Number of lines in the page. They exist from the start, so that nothing moves when they fill. */
const LINES = 26;

interface Line {
  line: HTMLTableRowElement;
  cells: HTMLTableCellElement[];
  /** Identifies the row that the line shows, and its state. */
  shown: string;
}

/** A table of the newest rows. Its lines are reused for new rows, never created again. */
export class Feed {
  readonly #lines: Line[] = [];
  readonly #recent: RecentRows;
  readonly #empty: HTMLElement;
  #version = -1;

  constructor(panel: HTMLElement, recent: RecentRows, columns: readonly string[], caption: string, empty: string) {
    this.#recent = recent;
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

  /** Show the rows if they changed. */
  render(): void {
    if (this.#version === this.#recent.version) return;
    this.#version = this.#recent.version;
    const rows = this.#recent.rows;
    this.#empty.hidden = rows.length > 0;
    this.#lines.forEach((line, number) => this.#write(line, rows[number]));
  }

  #write(line: Line, row: Row | undefined): void {
    const shown = row ? `${row.id} ${row.retracted}` : "";
    if (line.shown === shown) return;
    line.shown = shown;
    line.line.hidden = row === undefined;
    if (row === undefined) return;
    const tone = `${row.tone}${row.retracted ? " retracted" : ""}`;
    if (line.line.className !== tone) line.line.className = tone;
    // The tooltip has the whole text of the last cell, or the reason why a row is struck out.
    const title = row.retracted ? "retracted by a reorganisation of the chain" : (row.cells.at(-1) ?? "");
    if (line.line.title !== title) line.line.title = title;
    line.cells.forEach((cell, number) => setText(cell, row.cells[number] ?? ""));
  }
}
