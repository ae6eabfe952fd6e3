// The picture: what several answers of the API mean together, with rates between two looks.

import { Rates, Series } from "./rates.js";

const STEPS = 60;
const STEP_SECONDS = 10; // together the last ten minutes, kept here only

export class Picture {
  rates = new Rates();
  notes = new Map(); // verdict -> {name, note, is_drop}
  serverNics = new Set(); // NICs that lead to back-ends
  drops = new Map(); // verdict -> Series
  history = { packets: fresh(), connections: fresh(), used: [], drops: fresh() };

  /** Take one look: the answers of the API at the time *now*, in seconds. */
  look(answers, now) {
    Object.assign(this, answers, { now });
    this.rates.begin(now);
    for (const nic of this.status.nics) this.rates.note(`nic ${nic.name}`, nic.packets);
    for (const app of this.status.apps) this.rates.note(`app ${app.name}`, app.packets);
    for (const one of this.status.pseudo) {
      if (one.packets_in !== null) this.rates.note(`pseudo in ${one.name}`, one.packets_in);
      this.rates.note(`pseudo out ${one.name}`, one.packets_out);
    }
    this.rates.note("drops", sum(this.status.nics, (nic) => nic.drops));
    this.verdicts = this.#verdicts();
    for (const [name, total] of this.verdicts) this.rates.note(`verdict ${name}`, total);
    this.traffic = new Map();
    for (const one of this.stats.backends) {
      for (const field of ["packets_in", "packets_out", "connections"]) {
        const key = `${field} ${one.pool} ${one.address}`;
        this.traffic.set(key, (this.traffic.get(key) ?? 0) + one[field]);
      }
    }
    for (const [key, total] of this.traffic) this.rates.note(key, total);
    this.found = new Map(this.health.map((one) => [`${one.pool} ${one.address}`, one]));
    this.#remember();
  }

  /** The counters are not those of before: say nothing of rates until the next look but one. */
  interrupted() {
    this.rates.forget();
  }

  #verdicts() {
    const totals = new Map();
    for (const { verdicts } of this.stats.nics) {
      for (const [name, { packets }] of Object.entries(verdicts)) {
        totals.set(name, (totals.get(name) ?? 0) + packets);
      }
    }
    return totals;
  }

  #remember() {
    const { rates, history, now } = this;
    history.used = [...history.used, this.status.connections.used].slice(-STEPS * 5);
    if (!rates.span) return;
    const add = (series, name) => series.add(rates.span, rates.growth(name) ?? 0);
    for (const nic of this.status.nics) add(history.packets, `nic ${nic.name}`);
    add(history.drops, "drops");
    for (const key of this.traffic.keys()) {
      if (key.startsWith("connections ")) add(history.connections, key);
    }
    for (const name of this.verdicts.keys()) {
      if (!this.isDrop(name)) continue;
      if (!this.drops.has(name)) this.drops.set(name, fresh());
      this.drops.get(name).add(rates.span, rates.growth(`verdict ${name}`) ?? 0);
    }
    for (const [name, series] of this.drops) if (!series.total(now)) this.drops.delete(name);
  }

  isDrop(name) {
    return this.notes.get(name)?.is_drop ?? name.startsWith("DROP_");
  }

  /** Rates added up; null when none of them is known. */
  #together(names) {
    const known = names.map((name) => this.rates.rate(name)).filter((found) => found !== null);
    return known.length ? known.reduce((a, b) => a + b, 0) : null;
  }

  get packetRate() {
    return this.#together(this.status.nics.map((nic) => `nic ${nic.name}`));
  }

  get dropRate() {
    return this.rates.rate("drops");
  }

  get connectionRate() {
    const keys = [...this.traffic.keys()].filter((key) => key.startsWith("connections "));
    return keys.length ? this.#together(keys) : 0;
  }

  backendRates(pool, address) {
    return {
      in: this.rates.rate(`packets_in ${pool} ${address}`),
      out: this.rates.rate(`packets_out ${pool} ${address}`),
    };
  }

  poolRate(pool) {
    return this.#together(pool.backends.map((one) => `packets_in ${pool.name} ${one.address}`));
  }

  /** The NICs, each with its rate, and with the side that it is on: clients' or servers'. */
  get nics() {
    const seen = new Map(this.stats.nics.map((nic) => [nic.name, nic.verdicts]));
    return this.status.nics.map((nic) => {
      const verdicts = Object.entries(seen.get(nic.name) ?? {});
      const all = (start) => sum(verdicts.filter(([name]) => name.startsWith(start)),
        ([, tally]) => tally.packets);
      const [forward, back] = [all("TO_BACKEND"), all("TO_CLIENT")];
      const server = forward < back || (!forward && this.serverNics.has(nic.name));
      return { ...nic, side: server ? "server" : "client", rate: this.rates.rate(`nic ${nic.name}`) };
    });
  }
}

const fresh = () => new Series(STEPS, STEP_SECONDS);

const sum = (items, of) => items.reduce((total, item) => total + of(item), 0);
