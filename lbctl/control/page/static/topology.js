// The topology: clients, NICs, switch, pools and back-ends, with what flows between them.
//
// Two layouts: columns from left to right where there is room, a tree from top to bottom where not.

import { svg } from "./dom.js";
import { percent, short } from "./format.js";
import { fitted, measure } from "./measure.js";

const ROOM_FOR_COLUMNS = 740; // pixels
const MOST_BACKENDS = 8; // of a pool; the rest is told in one line
const MOST_POOLS = 12;
const HEIGHT = 40; // of a box
const LABEL = 54; // width of the longest rate
const PITCH = 50; // from box to box
const SIGNS = { active: "●", draining: "◐", down: "✕", maintenance: "‖" };

export class Topology {
  constructor(parent) {
    this.parent = parent;
    new ResizeObserver(() => this.#draw()).observe(parent);
  }

  show(picture) {
    this.picture = picture;
    this.#draw();
  }

  #draw() {
    const width = Math.floor(this.parent.clientWidth);
    if (!this.picture || !width) return;
    const layout = width >= ROOM_FOR_COLUMNS ? columns : tree;
    const drawing = new Drawing(width);
    const height = layout(drawing, told(this.picture), width);
    this.parent.replaceChildren(drawing.finish(height));
  }
}

/** What is drawn: texts, states and rates. */
function told(picture) {
  const { status } = picture;
  const nics = picture.nics.map((nic) => ({
    kind: nic.mode === "detached" ? "nic off" : "nic",
    title: nic.name,
    sub: nic.mode,
    rate: nic.rate,
    side: nic.side,
  }));
  const drops = picture.dropRate;
  return {
    clientNics: nics.filter((nic) => nic.side === "client"),
    serverNics: nics.filter((nic) => nic.side === "server"),
    name: status.name,
    drops: drops ? `${short(drops)} dropped/s` : "no drops",
    dropping: Boolean(drops),
    facts: `generation ${status.generation} · buffer ${status.active_buffer}`,
    rate: picture.packetRate,
    pools: few(picture.pools, MOST_POOLS, "pools").map((pool) => toldPool(picture, pool)),
  };
}

function toldPool(picture, pool) {
  if (pool.more) return { kind: "pool off", title: pool.more, sub: "", rate: null, backends: [] };
  const [vip = "no VIP", ...more] = pool.vips;
  const backends = few(pool.backends, MOST_BACKENDS, "back-ends").map((one) => {
    if (one.more) return { kind: "backend off", title: one.more, sub: "", rate: null, state: "" };
    const rates = picture.backendRates(pool.name, one.address);
    return {
      kind: `backend ${one.state}`,
      state: one.state,
      title: one.address,
      sub: `${SIGNS[one.state]} ${one.state} · ${percent(one.share, 0)}`,
      rate: rates.in,
      back: pool.forward === "dsr" ? null : rates.out,
    };
  });
  const serves = pool.served_by === pool.name;
  return {
    kind: serves && !pool.panicking ? "pool" : "pool trouble",
    title: pool.name,
    sub: vip,
    more: more.length ? ` +${more.length}` : "",
    state: serves ? "" : "down",
    rate: picture.poolRate(pool),
    backends,
  };
}

/** At most so many, and how many more there are. */
function few(items, most, what) {
  if (items.length <= most) return items;
  const more = items.length - most + 1;
  return [...items.slice(0, most - 1), { more: `and ${more} more ${what}` }];
}

function columns(drawing, told, width) {
  // What is more than the least: half of it for names, half for lines.
  const spare = width - ROOM_FOR_COLUMNS;
  const widths = [[24, 0], [80, 0.03], [150, 0.09], [116, 0.3], [158, 0.18]].map(([least, part]) => least + spare * part);
  const gaps = [[52, 0.08], [14, 0.02], [70, 0.15], [76, 0.15]].map(([least, part]) => least + spare * part);
  const x = widths.map((_, i) => total(widths.slice(0, i)) + total(gaps.slice(0, i)));

  const rows = total(told.pools.map((pool) => Math.max(1, pool.backends.length)));
  const apart = 10 * Math.max(0, told.pools.length - 1);
  const tall = Math.max(rows * PITCH + apart, told.clientNics.length * PITCH, switchHeight(told)) + 6;
  const middle = tall / 2;

  drawing.bar(x[0], 4, widths[0], tall - 8, "clients");
  const switchTall = Math.max(switchHeight(told), told.clientNics.length * PITCH);
  spread(told.clientNics.length, middle).forEach((y, i) => {
    const nic = told.clientNics[i];
    drawing.wire(x[0] + widths[0], y, x[1], y, nic, { label: true });
    drawing.wire(x[1] + widths[1], y, x[2], y, nic);
    drawing.box(x[1], y, widths[1], nic);
  });
  drawing.switch(x[2], middle - switchTall / 2, widths[2], switchTall, told);

  let y = (tall - rows * PITCH - apart) / 2 + PITCH / 2;
  for (const pool of told.pools) {
    const lines = Math.max(1, pool.backends.length);
    const centre = y + ((lines - 1) * PITCH) / 2;
    drawing.wire(x[2] + widths[2], middle, x[3], centre, pool, { label: true });
    pool.backends.forEach((one, i) => {
      const there = y + i * PITCH;
      drawing.wire(x[3] + widths[3], centre, x[4], there, one, { label: true });
      drawing.box(x[4], there, widths[4], one);
    });
    drawing.box(x[3], centre, widths[3], pool);
    y += lines * PITCH + 10;
  }
  return tall;
}

const switchHeight = ({ serverNics }) => 82 + (serverNics.length ? 12 + 18 * serverNics.length : 0);

/** Where so many boxes stand around a middle. */
const spread = (count, middle) =>
  Array.from({ length: count }, (_, i) => middle + (i - (count - 1) / 2) * PITCH);

function tree(drawing, told, width) {
  const { clientNics } = told;
  const gap = 10;
  const across = Math.min(2, Math.max(1, clientNics.length));
  const wide = (width - gap * (across - 1)) / across;
  drawing.bar(0, 0, width, 26, "clients");
  let y = 26;
  clientNics.forEach((nic, i) => {
    const column = i % across;
    if (!column) y += i ? HEIGHT + 6 : 14;
    const left = column * (wide + gap);
    drawing.wire(left + 24, 26, left + 24, y, nic, { down: true });
    drawing.box(left, y + HEIGHT / 2, wide, { ...nic, right: label(nic) });
  });
  y += clientNics.length ? HEIGHT : 0;
  const switchTall = switchHeight(told);
  clientNics.slice(-across).forEach((nic, i) => {
    const left = i * (wide + gap);
    drawing.wire(left + 24, y, left + 24, y + 14, nic, { down: true });
  });
  y += 14;
  drawing.switch(0, y, width, switchTall, told);
  y += switchTall;
  const trunk = y;
  for (const pool of told.pools) {
    y += 14;
    drawing.elbow(10, trunk, 24, y + HEIGHT / 2, pool);
    drawing.box(24, y + HEIGHT / 2, width - 24, { ...pool, right: label(pool) });
    const root = (y += HEIGHT);
    for (const one of pool.backends) {
      y += 6;
      drawing.elbow(36, root, 52, y + HEIGHT / 2, one);
      drawing.box(52, y + HEIGHT / 2, width - 52, { ...one, right: label(one) });
      y += HEIGHT;
    }
  }
  return y + 2;
}

const total = (numbers) => numbers.reduce((a, b) => a + b, 0);

const label = ({ rate }) => (rate === null ? "" : `${short(rate)} →`);

/** One drawing: wires below, boxes above. */
class Drawing {
  wires = svg("g", { class: "wires" });
  boxes = svg("g", { class: "boxes" });
  labels = svg("g", { class: "labels" });

  constructor(width) {
    this.width = width;
  }

  finish(height) {
    const size = { viewBox: `0 0 ${this.width} ${height}`, width: this.width, height };
    const name = "Clients, NICs, the switch, pools and back-ends; the tables below say the same";
    return svg("svg", { ...size, role: "img", "aria-label": name },
      this.wires, this.labels, this.boxes);
  }

  #text(x, y, kind, text, anchor) {
    return svg("text", { x, y, class: kind, "text-anchor": anchor }, text);
  }

  /** A bar with a word in it, along its longer side. */
  bar(x, y, width, height, word) {
    const [cx, cy] = [x + width / 2, y + height / 2];
    const turn = height > width ? `rotate(-90 ${cx} ${cy})` : null;
    this.boxes.append(
      svg("rect", { x, y, width, height, rx: 6, class: "box clients" }),
      svg("text", { x: cx, y: cy + 4, class: "sub", "text-anchor": "middle", transform: turn }, word),
    );
  }

  /** A box around the height *y*, with a title, a line below, and something at its right. */
  box(x, y, width, { kind, title, sub, more = "", right = "" }) {
    const top = y - HEIGHT / 2;
    const taken = right ? measure(right, "rate") + 12 : 0;
    const family = kind.startsWith("backend") ? "title address" : "title";
    const room = width - 22 - taken;
    const lines = sub ? [y - 3, y + 13] : [y + 4];
    this.boxes.append(svg("g", { class: kind },
      svg("title", {}, sub ? `${title}, ${sub}${more}` : title),
      svg("rect", { x, y: top, width, height: HEIGHT, rx: 6, class: "box" }),
      svg("rect", { x: x + 1, y: top + 6, width: 3, height: HEIGHT - 12, rx: 1.5, class: "edge" }),
      this.#text(x + 12, lines[0], family, fitted(title, room, family)),
      sub ? this.#text(x + 12, lines[1], "sub", fitted(sub, room - measure(more, "sub"), "sub") + more) : null,
      right ? this.#text(x + width - 10, y + 4, "rate", right, "end") : null));
  }

  /** The switch: its name and figures, and the NICs that replies come in by. */
  switch(x, y, width, height, told) {
    const room = width - 24;
    const replies = told.serverNics.flatMap((nic, i) => {
      const line = y + height - 12 - 18 * (told.serverNics.length - 1 - i);
      const amount = nic.rate === null ? "" : `← ${short(nic.rate)}`;
      return [
        this.#text(x + 12, line, "sub", fitted(`${nic.title} ${nic.sub}`, room - 64, "sub")),
        this.#text(x + width - 12, line, "rate", amount, "end"),
      ];
    });
    const rule = y + height - 11 - 18 * told.serverNics.length;
    const packets = told.rate === null ? "– packets/s" : `${short(told.rate)} packets/s`;
    this.boxes.append(svg("g", { class: "switch" },
      svg("rect", { x, y, width, height, rx: 8, class: "box" }),
      this.#text(x + 12, y + 21, "title", fitted(told.name, room, "title")),
      this.#text(x + 12, y + 38, "sub", fitted(told.facts, room, "sub")),
      this.#text(x + 12, y + 56, "rate", packets),
      this.#text(x + 12, y + 72, told.dropping ? "sub bad" : "sub", told.drops),
      replies.length ? svg("line", { x1: x + 12, x2: x + width - 12, y1: rule, y2: rule }) : null,
      ...replies));
  }

  #thick({ rate }) {
    return Math.min(6, 1.25 + 0.8 * Math.log10(1 + (rate ?? 0)));
  }

  #path(d, one) {
    const kind = `wire ${one.state ?? ""} ${one.rate ? "" : "still"}`;
    this.wires.append(svg("path", { d, class: kind, "stroke-width": this.#thick(one) }));
  }

  /** A line from left to right (or from top to bottom); its end is level, for the rates stand there. */
  wire(x1, y1, x2, y2, one, { label = false, down = false } = {}) {
    const level = Math.max(x1 + 16, x2 - LABEL);
    const half = (x1 + level) / 2;
    if (down) this.#path(`M${x1} ${y1}V${y2}`, one);
    else if (y1 === y2) this.#path(`M${x1} ${y1}H${x2}`, one);
    else this.#path(`M${x1} ${y1}C${half} ${y1} ${half} ${y2} ${level} ${y2}H${x2}`, one);
    if (!label || one.rate === null) return;
    this.labels.append(this.#text(x2 - 7, y2 - 6, "rate", `${short(one.rate)} →`, "end"));
    if (one.back !== null && one.back !== undefined) {
      this.labels.append(this.#text(x2 - 7, y2 + 15, "rate back", `← ${short(one.back)}`, "end"));
    }
  }

  /** A line of a tree: down, and to the right. */
  elbow(x1, y1, x2, y2, one) {
    this.#path(`M${x1} ${y1}V${y2 - 6}Q${x1} ${y2} ${x1 + 6} ${y2}H${x2}`, one);
  }
}
