// The generations: the history, what a return to one of them would change, and the return.

import { Refusal, get, post } from "./api.js";
import { byId, element, setText } from "./dom.js";
import { clock, plural } from "./format.js";
import { Table, column, text } from "./table.js";

const SIGNS = { "+": "added", "-": "removed", "~": "changed" };

export class Generations {
  /** *onChange* is called when there is a new generation. */
  constructor(onChange) {
    this.onChange = onChange;
    this.dialog = byId("dialog");
    this.go = byId("dialog-go");
    this.table = new Table(byId("generations-table"), "Generations", [
      text("No.", (one) => one.generation, "number"),
      column("What", fillWhat, "what"),
      column("", (cell, one) => this.#fillActions(cell, one), "actions"),
    ], { key: (one) => one.generation, empty: "There is no generation yet.", kind: "history" });
    byId("dialog-close").addEventListener("click", () => this.dialog.close());
    this.go.addEventListener("click", () => this.#rollBack());
  }

  async look() {
    const all = await get("v1/generations");
    const active = all.find((one) => one.active);
    setText(byId("generations-active"), active ? `${active.generation} is active` : "");
    this.table.show(all);
  }

  #fillActions(cell, one) {
    if (!cell.children.length) {
      const button = (word) => element("button", { type: "button",
        onclick: () => this.#open(one.generation, word !== "Compare") }, word,
      element("span", { class: "sr" }, ` generation ${one.generation}`));
      cell.append(element("span", { class: "chip" }, "active"), button("Compare"), button("Roll back…"));
    }
    const [chip, ...buttons] = cell.children;
    chip.hidden = !one.active;
    for (const button of buttons) button.hidden = one.active;
  }

  /** Show what a return to a generation would change; offer to do it if *asking*. */
  async #open(number, asking) {
    this.number = number;
    this.go.hidden = !asking;
    setText(this.go, `Roll back to ${number}`);
    setText(byId("dialog-title"), asking ? `Roll back to generation ${number}?` : `Generation ${number}`);
    setText(byId("dialog-close"), asking ? "Cancel" : "Close");
    setText(byId("dialog-error"), "");
    setText(byId("dialog-note"), "Comparing …");
    byId("dialog-diff").replaceChildren();
    if (!this.dialog.open) this.dialog.showModal();
    byId("dialog-title").focus();
    await this.#attempt(() => this.#compare());
  }

  async #compare() {
    this.seen = undefined;
    const [{ generation }, content] = await Promise.all([get("v1/status"), get(`v1/generations/${this.number}`)]);
    const { changes } = await post("v1/configuration/diff", content.configuration);
    this.seen = generation;
    setText(byId("dialog-note"), changes.length
      ? `It differs from generation ${generation}, which is active, in ${plural(changes.length, "thing")}:`
      : `It is the same as generation ${generation}, which is active.`);
    byId("dialog-diff").replaceChildren(...changes.map(line));
    byId("dialog-diff").hidden = !changes.length;
  }

  async #rollBack() {
    this.go.disabled = true;
    setText(byId("dialog-error"), "");
    await this.#attempt(async () => {
      const { generation } = await get("v1/status");
      if (generation !== this.seen) {
        await this.#compare();
        setText(byId("dialog-error"), "Somebody changed the configuration meanwhile: look again.");
        return;
      }
      await post(`v1/generations/${this.number}/rollback`);
      this.dialog.close();
      this.onChange();
    });
    this.go.disabled = false;
  }

  async #attempt(work) {
    try {
      await work();
    } catch (error) {
      if (byId("dialog-note").textContent === "Comparing …") setText(byId("dialog-note"), "");
      const text = error instanceof Refusal ? error.message : "lbctld does not answer.";
      setText(byId("dialog-error"), text);
    }
  }
}

function fillWhat(cell, { what, who, time }) {
  if (!cell.children.length) cell.append(element("span", { class: "done" }), element("span", { class: "reason" }));
  setText(cell.children[0], what);
  setText(cell.children[1], `${who}, ${clock(time)}`);
}

/** A line of a difference: its sign says what it is, the colour repeats it. */
function line(text) {
  const sign = text.slice(0, 1);
  return element("p", { class: SIGNS[sign] ?? "" },
    element("span", { class: "sr" }, `${SIGNS[sign] ?? ""}: `),
    element("span", { "aria-hidden": "true", class: "sign" }, sign), element("span", {}, text.slice(2)));
}
