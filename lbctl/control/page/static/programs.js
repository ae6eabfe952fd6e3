// The programs on the switch: network applications, and pseudo interfaces for all other programs.

import { byId, element, fillState, setProse, setText } from "./dom.js";
import { count, rate, short } from "./format.js";
import { Table, column, text } from "./table.js";

const LOST = ["rx_ring_full", "fill_empty", "rx_dropped"]; // packets that came, and had no room

export class Programs {
  constructor() {
    this.card = byId("programs");
    this.link = byId("programs-link");
    this.apps = new Table(byId("apps-table"), "Network applications", [
      column("State", (cell, one) => fillState(part(cell, 0, ""), standing(one), one.state), "standing"),
      column("Application", (cell, one) => fillNamed(cell, one.name, one.vips)),
      text("Packets", (one) => rate(one.rate), "number"),
      text("Total", (one) => short(one.packets), "number"),
      text("Lost", (one) => count(one.lost), "number"),
      column("Process", fillProcess),
    ], { key: (one) => one.name, empty: "There is no network application." });
    this.pseudo = new Table(byId("pseudo-table"), "Pseudo interfaces", [
      column("State", (cell, one) => fillState(part(cell, 0, ""), one.state === "up" ? "active" : "down", one.state), "standing"),
      column("Pseudo interface", (cell, one) => fillNamed(cell, one.name, one.addresses)),
      text("In", (one) => rate(one.in), "number"),
      text("Out", (one) => rate(one.out), "number"),
    ], { key: (one) => one.name, empty: "There is no pseudo interface." });
  }

  show({ status, rates }) {
    this.card.hidden = this.link.hidden = !status.apps.length && !status.pseudo.length;
    this.apps.show(status.apps.map((one) => ({ ...one, rate: rates.rate(`app ${one.name}`), lost: lost(one) })));
    this.pseudo.show(status.pseudo.map((one) => ({
      ...one, in: rates.rate(`pseudo in ${one.name}`), out: rates.rate(`pseudo out ${one.name}`),
    })));
  }
}

const lost = ({ ports }) => ports.flatMap((port) => LOST.map((name) => port[name])).reduce((a, b) => a + b, 0);

/** How an application stands: as a state of a back-end. */
function standing({ state, on_exit }) {
  if (state === "running") return "active";
  return state === "stopped" && on_exit === "kernel" ? "maintenance" : "down";
}

function fillNamed(cell, name, addresses) {
  setText(part(cell, 0, ""), name);
  setText(part(cell, 1, "reason address"), addresses.join("  "));
}

/** Who runs it; or what to type when it does not do its work. */
function fillProcess(cell, { pid, run_by, next }) {
  setText(part(cell, 0, ""), pid === null ? "–" : `${pid} of ${run_by}`);
  setProse(part(cell, 1, "reason"), next ? `\`${next}\`` : "");
}

function part(cell, i, kind) {
  while (cell.children.length <= i) cell.append(element("span"));
  const node = cell.children[i];
  if (kind) node.className = kind;
  return node;
}
