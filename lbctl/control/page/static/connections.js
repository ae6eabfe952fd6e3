// The connections: how many there are, whose, and some of them one by one.

import { Refusal, get } from "./api.js";
import { byId, element, fillState, keyed, setText, setVars } from "./dom.js";
import { count, duration, percent, plural } from "./format.js";
import { Table, column, text } from "./table.js";

const SHOWN = 100;
const STATES = { established: "active", udp: "active", half_open: "draining" };

export class Connections {
  #chosen = { pool: "", client: "" };
  #seen = false;

  constructor() {
    this.byPool = byId("connections-pools");
    this.pool = byId("filter-pool");
    this.note = byId("filter-note");
    this.table = new Table(byId("connections-table"), "Connections", [
      text("Client", (one) => one.client, "address"),
      text("VIP", (one) => one.vip, "address"),
      text("Back-end", (one) => one.backend, "address"),
      text("Pool", (one) => one.pool || "removed"),
      column("State", (cell, one) => fillState(span(cell), STATES[one.state] ?? "other", one.state.replace("_", "-"))),
      text("Idle", ({ idle_seconds: idle }) => (idle < 60 ? `${idle.toFixed(1)} s` : duration(idle)), "number"),
    ], { key: (one) => `${one.protocol} ${one.client} ${one.vip}`, empty: "No connection matches." });
    byId("filter").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#chosen = Object.fromEntries(new FormData(event.target));
      this.#chosen.client = this.#chosen.client.trim();
      this.#seen = true;
      this.look();
    });
    // Rows are asked for while somebody can see them.
    new IntersectionObserver((entries) => {
      this.#seen = entries.at(-1).isIntersecting;
      if (this.#seen) this.look();
    }).observe(byId("connections"));
  }

  show({ status, vips, pools }) {
    const { used, size } = status.connections;
    setText(byId("connections-use"), `${count(used)} of ${count(size)} places taken, ${percent(used / size)}`);
    const sums = new Map(pools.map(({ name }) => [name, 0]));
    for (const vip of vips.filter(({ pool }) => pool !== null)) sums.set(vip.pool, (sums.get(vip.pool) ?? 0) + vip.connections);
    const most = Math.max(1, ...sums.values());
    const lines = [...sums].filter(([name, number]) => number || vips.some((vip) => vip.pool === name));
    keyed(this.byPool, lines, ([name]) => name, ([name]) => element("p", {}, element("span", {}, name),
      element("i", { class: "bar given" }), element("b")), (line, [, number]) => {
      setVars(line.children[1], { part: number / most });
      setText(line.children[2], count(number));
    });
    keyed(this.pool, [{ name: "", word: "all" }, ...pools], ({ name }) => name,
      ({ name, word = name }) => element("option", { value: name }, word), () => {});
  }

  /** Ask for the rows, if they can be seen. */
  async look() {
    if (!this.#seen) return;
    const asked = this.#chosen;
    try {
      const [rows, all] = await Promise.all([
        get("v1/connections", { ...asked, limit: SHOWN }),
        get("v1/connections/count", asked),
      ]);
      if (asked !== this.#chosen) return; // somebody chose others meanwhile
      this.table.show(rows);
      const some = all.count > rows.length ? `${rows.length} of ${plural(all.count, "connection")}` : plural(rows.length, "connection");
      setText(this.note, `${some}, the newest first`);
      this.note.className = "note";
    } catch (error) {
      if (!(error instanceof Refusal) || asked !== this.#chosen) return;
      this.table.show([]);
      setText(this.note, error.message);
      this.note.className = "note error";
    }
  }
}

function span(cell) {
  if (!cell.firstElementChild) cell.append(element("span"));
  return cell.firstElementChild;
}
