// The events: what changed its state and why; asked for anew as soon as there is one.

import { get } from "./api.js";
import { element, keyed } from "./dom.js";
import { clock } from "./format.js";

const SHOWN = 100;
const WAIT = 25; // seconds that lbctld may keep us waiting
const AGAIN = 2000; // milliseconds after a failure

export class Events {
  #stop = null;

  constructor(parent) {
    this.parent = parent;
    this.list = element("ol", { class: "events" });
    this.empty = element("p", { class: "empty" }, "Nothing has happened yet.");
    parent.append(this.empty, this.list);
  }

  start() {
    this.stop();
    this.#stop = new AbortController();
    this.#follow(this.#stop.signal);
  }

  stop() {
    this.#stop?.abort();
    this.#stop = null;
  }

  async #follow(signal) {
    while (!signal.aborted) {
      try {
        let known = await get("v1/events", { limit: SHOWN }, { signal });
        this.#show(known);
        for (;;) {
          const after = known.at(-1)?.number ?? 0;
          const patience = (WAIT + 10) * 1000;
          const news = await get("v1/events", { after, wait: WAIT }, { signal, patience });
          known = [...known, ...news].slice(-SHOWN);
          if (news.length) this.#show(known);
        }
      } catch {
        // Whoever polls the status tells why; here it is enough to try again.
        if (!signal.aborted) await new Promise((done) => setTimeout(done, AGAIN));
      }
    }
  }

  #show(events) {
    this.empty.hidden = Boolean(events.length);
    keyed(this.list, events.toReversed(), (event) => event.number, make, () => {});
  }
}

const make = ({ time, kind, subject, text }) => element("li", {},
  element("time", { datetime: time, title: time }, clock(time)),
  element("p", {}, element("span", { class: "kind" }, kind), " ",
    element("span", { class: "subject" }, subject), " ", element("span", { class: "what" }, text)));
