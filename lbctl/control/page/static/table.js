// The tables: columns that know how to fill a cell, rows that stay as long as their item does.

import { element, keyed, setText } from "./dom.js";

/**
 * A column: its head, how it fills a cell, and of which kind it is ("number", "address", ...).
 *
 * On a narrow screen each row is a card, and the head stands before each of its cells.
 */
export const column = (head, fill, kind = "") => ({ head, fill, kind });

/** A column of plain text. */
export const text = (head, of, kind = "") =>
  column(head, (cell, item) => setText(cell, of(item)), kind);

export class Table {
  /** *name* is for who cannot see it; *empty* is what an empty one says. */
  constructor(parent, name, columns, { key, empty = "Nothing.", kind = "" }) {
    Object.assign(this, { columns, key });
    const heads = columns.map(({ head, kind }) =>
      element("th", { scope: "col", role: "columnheader", class: kind }, head));
    this.body = element("tbody", { role: "rowgroup" });
    // The roles are those that the elements have; a browser forgets them when rows become cards.
    this.table = element("table", { role: "table", "aria-label": name, class: kind },
      element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...heads)), this.body);
    this.empty = element("p", { class: "empty" }, empty);
    parent.append(this.table, this.empty);
  }

  show(items) {
    this.table.hidden = !items.length;
    this.empty.hidden = Boolean(items.length);
    keyed(this.body, items, this.key, () => this.#row(), (row, item) => {
      this.columns.forEach(({ fill }, i) => fill(row.children[i], item));
    });
  }

  #row() {
    const cells = this.columns.map(({ head, kind }) =>
      element("td", { role: "cell", class: kind, "data-head": head }));
    return element("tr", { role: "row" }, ...cells);
  }
}
