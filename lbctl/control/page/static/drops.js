// The drops: how many packets were discarded lately, why, and what to do about it.

import { element, setProse, setText, svg } from "./dom.js";
import { count, rate, short } from "./format.js";
import { Table, column, text } from "./table.js";

const HEIGHT = 132;
const LEFT = 40; // room for the scale
const BOTTOM = 18;
const FILLS = 6; // the ways to fill a bar; the last is for all other reasons

export class Drops {
  #fills = new Map(); // reason -> number of its fill, as long as the page lives

  constructor(chart, table, verdicts) {
    this.chart = chart;
    this.reasons = new Table(table, "Drops by reason", [
      column("Reason", (cell, one) => this.#fillReason(cell, one), "verdict"),
      text("Now", (one) => rate(one.rate), "number"),
      text("10 min", (one) => count(one.lately), "number"),
      text("Total", (one) => short(one.total), "number"),
    ], { key: (one) => one.name, empty: "No packet was ever dropped.", kind: "noted" });
    this.verdicts = new Table(verdicts, "All verdicts", [
      column("Verdict", fillNoted, "verdict"),
      text("Now", (one) => rate(one.rate), "number"),
      text("Total", (one) => short(one.total), "number"),
    ], { key: (one) => one.name, kind: "noted two" });
    this.folded = verdicts.closest("details");
    new ResizeObserver(() => this.#draw()).observe(chart);
  }

  show(picture) {
    this.picture = picture;
    const all = [...picture.verdicts].map(([name, total]) => ({
      name,
      total,
      rate: picture.rates.rate(`verdict ${name}`),
      lately: Math.round(picture.drops.get(name)?.total(picture.now) ?? 0),
      note: picture.notes.get(name)?.note ?? "",
    }));
    const dropped = all.filter((one) => picture.isDrop(one.name) && one.total);
    dropped.sort((a, b) => b.lately - a.lately || b.total - a.total);
    this.reasons.show(dropped);
    if (this.folded.open) this.verdicts.show(all.sort((a, b) => b.total - a.total));
    this.#draw();
  }

  #fill(name) {
    if (!this.#fills.has(name)) this.#fills.set(name, Math.min(this.#fills.size, FILLS - 1));
    return this.#fills.get(name);
  }

  #fillReason(cell, one) {
    const drawn = this.picture.drops.has(one.name);
    fillNoted(cell, one, drawn ? this.#fill(one.name) : null);
  }

  #draw() {
    const width = Math.floor(this.chart.clientWidth);
    if (!this.picture || !width) return;
    const { drops, now } = this.picture;
    const stacks = [...drops].map(([name, series]) => ({ name, fill: this.#fill(name), values: series.values(now) }));
    stacks.sort((a, b) => a.fill - b.fill);
    this.chart.replaceChildren(chart(width, stacks, this.picture.history.drops.values(now)));
  }
}

function fillNoted(cell, { name, note }, fill = null) {
  if (!cell.children.length) {
    cell.append(element("span", { class: "head" }, svg("svg", { class: "swatch", width: 12, height: 12,
      "aria-hidden": "true" }, svg("rect", { width: 12, height: 12, rx: 2 })), element("code")),
    element("span", { class: "reason" }));
  }
  const [head, words] = cell.children;
  head.firstChild.toggleAttribute("hidden", fill === null);
  if (fill !== null) head.firstChild.firstChild.setAttribute("class", `fill-${fill}`);
  setText(head.lastChild, name);
  setProse(words, note);
}

/** Bars of ten seconds each, one reason upon the other. */
function chart(width, stacks, watched) {
  const steps = watched.length;
  const blind = watched.findIndex((value) => value !== null); // steps before the page was opened
  const sums = Array.from({ length: steps }, (_, i) => stacks.reduce((sum, { values }) => sum + values[i], 0));
  const top = nice(Math.max(...sums, 0) / 10);
  const base = HEIGHT - BOTTOM;
  const scale = (base - 8) / (top * 10);
  const step = (width - LEFT) / steps;
  const bars = [];
  for (let i = 0; i < steps; i++) {
    let y = base;
    for (const { name, fill, values } of stacks) {
      const height = values[i] && Math.max(1, values[i] * scale);
      if (!height) continue;
      y -= height;
      bars.push(svg("rect", { x: LEFT + i * step + 0.5, y, width: Math.max(1, step - 1), height, class: `fill-${fill}` },
        svg("title", {}, `${name}: ${short(values[i] / 10)}/s`)));
    }
  }
  const total = sums.reduce((a, b) => a + b, 0);
  const name = `Drops in the last ten minutes: ${count(Math.round(total))}; the table below has the reasons`;
  return svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": name, class: "chart" },
    patterns(), ...unwatched(watched, step, base), ...axes(width, base, top), ...bars,
    caption(LEFT + Math.max(0, blind) * step, width, base, blind / steps, total));
}

/** The steps of which nothing is known: nobody looked, or nobody answered. */
function unwatched(watched, step, base) {
  const known = watched.map((value, i) => (value === null ? i : -1)).filter((i) => i >= 0);
  return known.map((i) => svg("rect", { x: LEFT + i * step, y: 8, width: step + 0.5, height: base - 8, class: "blind" }));
}

/** What the empty part of the chart means. */
function caption(from, width, base, blind, total) {
  const place = (x) => ({ x, y: base / 2 + 8, class: "sub", "text-anchor": "middle" });
  if (blind > 0.4) return svg("text", place((LEFT + from) / 2), "not watched yet");
  return total ? null : svg("text", place((from + width) / 2), "no drops");
}

function axes(width, base, top) {
  const lines = [0, 0.5, 1].map((part) => {
    const y = base - part * (base - 8);
    return svg("g", { class: "axis" }, svg("line", { x1: LEFT, x2: width, y1: y, y2: y }),
      svg("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, part ? short(top * part) : "0/s"));
  });
  const times = [[0, "10 min ago", "start"], [0.5, "5", "middle"], [1, "now", "end"]];
  return [...lines, ...times.map(([part, word, anchor]) => svg("text", { x: LEFT + part * (width - LEFT),
    y: HEIGHT - 3, class: "axis", "text-anchor": anchor }, word))];
}

/** The next round number above. */
function nice(value) {
  if (value <= 0) return 1;
  const size = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * size).find((round) => round >= value);
}

/** Hatches and dots, for those who see no difference between the colours. */
function patterns() {
  const make = (number, ...marks) => svg("pattern", { id: `pattern-${number}`, width: 6, height: 6,
    patternUnits: "userSpaceOnUse" }, svg("rect", { width: 6, height: 6, class: `tone-${number}` }), ...marks);
  const path = (d) => svg("path", { d, class: "ink" });
  return svg("defs", {},
    make(1, path("M-1 7L7 -1M-1 1L1 -1M5 7L7 5")),
    make(2, svg("circle", { cx: 3, cy: 3, r: 1.3, class: "dot" })),
    make(3, path("M0 3H6")),
    make(4, path("M3 0V6M0 3H6")));
}
