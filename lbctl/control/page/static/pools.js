// The pools: each with its back-ends, what they should get, are given, and got.

import { element, fillState, keyed, setText, setVars } from "./dom.js";
import { age, count, duration, percent, plural, short } from "./format.js";
import { Table, column, text } from "./table.js";

const SHARES = ["wanted", "given", "measured"];

export class Pools {
  #tables = new WeakMap();

  constructor(parent) {
    this.parent = parent;
    this.empty = element("p", { class: "empty" },
      "There is no pool yet. Add one with ", element("code", {}, "lbctl pool add"), ".");
  }

  show(picture) {
    keyed(this.parent, picture.pools, (pool) => pool.name, (pool) => this.#make(pool),
      (node, pool) => this.#update(node, pool, picture));
    if (!picture.pools.length) this.parent.append(this.empty);
  }

  #make({ name }) {
    const node = element("article", { class: "pool" },
      element("header", {}, element("h3", {}, name), element("span", { class: "state" }),
        element("p", { class: "vips" })),
      element("p", { class: "facts" }), element("p", { class: "problem" }));
    const heads = [
      column("State", fillStanding, "standing"),
      text("Back-end", (one) => one.address, "address"),
      column("Share", fillShares, "shares"),
      text("Weight", (one) => count(one.weight), "number"),
      text("Conns", (one) => count(one.connections), "number"),
      text("New/s", (one) => short(one.new_connections_per_second), "number"),
      column("Load", fillLoad, "number load"),
      column("Health", fillHealth, "health"),
    ];
    const words = { key: (one) => one.address, empty: "It has no back-end.", kind: "backends" };
    this.#tables.set(node, new Table(node, `Back-ends of pool ${name}`, heads, words));
    return node;
  }

  #update(node, pool, picture) {
    const [header, facts, problem] = node.children;
    const [, state, vips] = header.children;
    fillState(state, ...standing(pool));
    setText(vips, pool.vips.join("  ") || "no VIP");
    setText(facts, describe(pool));
    setText(problem, pool.problem ?? "");
    problem.hidden = !pool.problem;
    const shares = pool.backends.flatMap((one) => [one.wanted, one.share, one.measured ?? 0]);
    const scale = Math.min(1, Math.ceil(Math.max(0.05, ...shares) * 10) / 10);
    const rows = pool.backends.map((one) => ({
      ...one, given: one.share, scale, found: picture.found.get(`${pool.name} ${one.address}`),
    }));
    this.#tables.get(node).show(rows);
  }
}

/** How a pool stands: as a state of a back-end, and in words. */
function standing({ name, served_by, panicking }) {
  if (served_by === null) return ["down", "nobody serves"];
  if (served_by !== name) return ["draining", `served by ${served_by}`];
  return panicking ? ["draining", "panics: all are asked"] : ["active", "serves"];
}

function describe(pool) {
  const words = [pool.scheduler, pool.forward, plural(pool.table_size, "slot")];
  if (pool.health) words.push(`${pool.health.check} check every ${pool.health.interval} s`);
  if (pool.passive) words.push("watched passively");
  if (pool.quorum) words.push(`quorum ${pool.quorum}`);
  if (pool.backup) words.push(`backup ${pool.backup}`);
  if (pool.rules.length) words.push(plural(pool.rules.length, "rule"));
  return words.join(" · ");
}

function part(cell, i, kind) {
  while (cell.children.length <= i) cell.append(element("span"));
  const node = cell.children[i];
  node.className = kind;
  return node;
}

function fillStanding(cell, { state, reason, found }) {
  fillState(part(cell, 0, ""), state);
  setText(part(cell, 1, "reason"), reason === found?.reason ? "" : reason); // told there
}

/** Three bars on one scale: hollow, full and hatched, so that they differ without colours. */
function fillShares(cell, one) {
  const bars = SHARES.map((name, i) => {
    const line = part(cell, i, "share");
    if (!line.children.length) {
      line.append(element("span", { class: "sr" }, `${name} `), element("i", { class: `bar ${name}` }),
        element("b"));
    }
    return line;
  });
  SHARES.forEach((name, i) => {
    const [, bar, number] = bars[i].children;
    setVars(bar, { part: (one[name] ?? 0) / one.scale });
    setText(number, percent(one[name]));
  });
}

function fillLoad(cell, { load, report_age_seconds: seconds }) {
  setText(part(cell, 0, ""), percent(load, 0));
  setText(part(cell, 1, "reason"), seconds === null ? "" : `${duration(Math.round(seconds))} ago`);
}

function fillHealth(cell, { found }) {
  const word = part(cell, 0, "");
  cell.classList.toggle("none", !found);
  if (!found) {
    setText(word, "–");
    setText(part(cell, 1, "reason"), "");
    return;
  }
  const passing = found.up === null ? "not checked" : found.up ? "passes" : "fails";
  const since = found.since ? ` for ${age(found.since)}` : "";
  setText(word, found.inhibited_until ? "inhibited" : passing + since);
  setText(part(cell, 1, "reason"), found.reason);
}
