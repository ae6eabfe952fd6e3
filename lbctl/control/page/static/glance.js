// The glance: the few figures that say whether all is as usual, with their last ten minutes.

import { element, keyed, setClass, setText, setVars, svg } from "./dom.js";
import { count, percent, rate } from "./format.js";

const WIDTH = 120;
const HEIGHT = 28;

export class Glance {
  constructor(parent) {
    this.parent = parent;
  }

  show(picture) {
    keyed(this.parent, figures(picture), ({ name }) => name, make, update);
  }
}

function figures(picture) {
  const { status, history, now } = picture;
  const { used, size } = status.connections;
  const { active, draining, down, maintenance } = status.backends;
  const all = active + draining + down + maintenance;
  const others = Object.entries({ draining, down, maintenance })
    .filter(([, number]) => number)
    .map(([state, number]) => `${number} ${state === "maintenance" ? "in maintenance" : state}`);
  return [
    { name: "Packets", value: rate(picture.packetRate), line: history.packets.values(now) },
    { name: "New connections", value: rate(picture.connectionRate), line: history.connections.values(now) },
    { name: "Connections", value: count(used), note: `${percent(used / size)} full`, part: used / size },
    { name: "Back-ends", value: `${active} of ${all}`, note: others.join(", ") || "all active",
      trouble: down > 0, part: all ? active / all : 0 },
    { name: "Drops", value: rate(picture.dropRate), line: history.drops.values(now), bad: true,
      trouble: picture.dropRate > 0 },
  ];
}

function make({ name }) {
  return element("div", {}, element("dt", {}, name), element("dd", {},
    element("span", { class: "value" }), element("span", { class: "note" }),
    element("span", { class: "gauge" }), spark()));
}

const spark = () => svg("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
  preserveAspectRatio: "none", "aria-hidden": "true" }, svg("path", { class: "area" }), svg("path", { class: "line" }));

function update(tile, { value, note = "", line, part, bad, trouble }) {
  const [number, words, gauge, drawing] = tile.lastChild.children;
  setClass(tile, trouble ? "trouble" : "");
  setText(number, value);
  setText(words, note);
  gauge.hidden = part === undefined;
  if (part !== undefined) setVars(gauge, { part: Math.min(1, part) });
  drawing.toggleAttribute("hidden", !line);
  if (!line) return;
  setClass(drawing, bad ? "spark bad" : "spark");
  const whole = line.slice(0, -1); // the last step has only begun
  const known = whole.filter((value) => value !== null);
  const step = WIDTH / (known.length - 1);
  const highest = Math.max(1, ...known);
  const points = known.map((v, i) =>
    `${(i * step).toFixed(1)} ${(HEIGHT - 2 - (v / highest) * (HEIGHT - 4)).toFixed(1)}`);
  const path = points.length > 2 ? points.join("L") : "";
  drawing.firstChild.setAttribute("d", path && `M0 ${HEIGHT}L${path}L${WIDTH} ${HEIGHT}Z`);
  drawing.lastChild.setAttribute("d", path && `M${path}`);
}
