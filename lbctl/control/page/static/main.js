// The page: ask for the token, then look at the switch every two seconds while somebody sees it.

import { Refusal, get, token } from "./api.js";
import { Connections } from "./connections.js";
import { byId, element, keyed, setClass, setProse, setText } from "./dom.js";
import { Drops } from "./drops.js";
import { Events } from "./events.js";
import { plural } from "./format.js";
import { Generations } from "./generations.js";
import { Glance } from "./glance.js";
import { Picture } from "./picture.js";
import { Pools } from "./pools.js";
import { Programs } from "./programs.js";
import { Topology } from "./topology.js";

const INTERVAL = 2000; // milliseconds from one look to the next
const UNAUTHORIZED = 401;

class Page {
  #timer = null;
  #looking = false;
  #generation = null;
  #heardAt = null;
  #silent = false;
  #spoken = "";

  constructor() {
    this.picture = new Picture();
    this.connections = new Connections();
    this.generations = new Generations(() => this.look());
    this.events = new Events(byId("event-list"));
    this.views = [
      new Glance(byId("glance")),
      new Topology(byId("drawing")),
      new Pools(byId("pool-list")),
      new Programs(),
      new Drops(byId("drops-chart"), byId("drops-table"), byId("verdicts-table")),
      this.connections,
    ];
    byId("login").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#signIn(byId("token").value.trim());
    });
    byId("leave").addEventListener("click", () => this.#signOut(""));
    byId("verdicts").addEventListener("toggle", () => this.picture.status && this.#show());
    document.addEventListener("visibilitychange", () => this.#seen());
  }

  start() {
    if (token.get()) this.#open();
    else this.#signOut("");
  }

  async #signIn(text) {
    token.keep(text);
    setText(byId("login-error"), "");
    try {
      await get("v1/status");
    } catch (error) {
      const wrong = error instanceof Refusal && error.status === UNAUTHORIZED;
      this.#signOut(wrong ? "That is not the token of this switch." : "lbctld does not answer. Try again.");
      return;
    }
    byId("token").value = "";
    this.#open();
    byId("content").focus();
  }

  #open() {
    byId("login").hidden = true;
    for (const id of ["view", "nav", "leave"]) byId(id).hidden = false;
    this.#generation = null;
    this.#seen();
  }

  #signOut(reason) {
    this.#pause();
    token.forget();
    for (const id of ["view", "nav", "leave"]) byId(id).hidden = true;
    byId("login").hidden = false;
    setText(byId("name"), "");
    this.#pulse("", "");
    document.title = "lbctl";
    setText(byId("login-error"), reason);
    byId("token").focus();
    byId("token").select();
  }

  /** Look while somebody can see it, and only then. */
  #seen() {
    if (byId("view").hidden) return;
    this.#pause();
    if (document.hidden) return;
    this.events.start();
    this.look();
  }

  #pause() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.events.stop();
  }

  async look() {
    if (this.#looking) return;
    this.#looking = true;
    clearTimeout(this.#timer);
    try {
      await this.#ask();
      if (byId("view").hidden) return; // signed out meanwhile
      this.#heard();
      this.#show();
      this.connections.look();
    } catch (error) {
      if (error instanceof Refusal && error.status === UNAUTHORIZED) {
        this.#signOut("The token is no longer that of this switch.");
      } else {
        this.#missed(error);
      }
    } finally {
      this.#looking = false;
      if (!document.hidden && !byId("view").hidden) this.#timer = setTimeout(() => this.look(), INTERVAL);
    }
  }

  async #ask() {
    if (this.#silent) await get("v1/status"); // one question is enough to find out
    const names = ["status", "pools", "stats", "health", "vips"];
    const found = await Promise.all(names.map((name) => get(`v1/${name}`)));
    const answers = Object.fromEntries(names.map((name, i) => [name, found[i]]));
    if (answers.status.generation !== this.#generation) {
      const [notes, neighbors] = await Promise.all([get("v1/verdicts"), get("v1/neighbors"), this.generations.look()]);
      this.picture.notes = new Map(notes.map((one) => [one.name, one]));
      this.picture.serverNics = new Set(neighbors.filter((one) => one.used_by.length).map((one) => one.nic));
      this.#generation = answers.status.generation;
    }
    this.picture.look(answers, performance.now() / 1000);
  }

  #heard() {
    if (this.#silent) this.#generation = null; // another daemon may tell another history
    [this.#silent, this.#heardAt] = [false, new Date()];
    byId("silence").hidden = true;
    setClass(byId("view"), "");
    this.#pulse("live", "live");
  }

  #missed(error) {
    this.#silent = true;
    this.picture.interrupted();
    const why = error instanceof Refusal ? error.message : "lbctld does not answer.";
    const shown = this.#heardAt ? `What is shown is from ${this.#heardAt.toLocaleTimeString("en-GB")}. ` : "";
    setText(byId("silence"), `${why} ${shown}Trying again every two seconds.`);
    byId("silence").hidden = false;
    setClass(byId("view"), "stale");
    this.#pulse("lost", "no answer");
  }

  #pulse(kind, word) {
    setClass(byId("pulse"), `pulse ${kind}`);
    setText(byId("pulse"), word);
  }

  /** Read warnings aloud when there are others, not whenever a figure in one of them moves. */
  #speak(warnings) {
    const kinds = warnings.map(lasting).join("\n");
    if (kinds === this.#spoken) return;
    this.#spoken = kinds;
    setText(byId("spoken"), warnings.length ? `Warnings: ${warnings.join(". ")}` : "No warnings.");
  }

  #show() {
    const { status } = this.picture;
    setText(byId("name"), status.name);
    byId("name").title = `lbctl ${status.version}`;
    const warnings = plural(status.warnings.length, "warning");
    document.title = status.warnings.length ? `${status.name}: ${warnings}` : `${status.name} – lbctl`;
    setText(byId("warnings-title"), warnings);
    keyed(byId("warnings-list"), status.warnings, lasting, () => element("li"), setProse);
    byId("warnings").hidden = !status.warnings.length;
    this.#speak(status.warnings);
    for (const view of this.views) view.show(this.picture);
  }
}

/** A warning without the figures in it, which change from look to look. */
const lasting = (text) => text.replaceAll(/(?<= )\d+(?= )/g, "#");

new Page().start();
