// The rates: what counters grew by between two looks, and how that went over time.

/** Growth per second of many counters, each by a name. */
export class Rates {
  #before = new Map();
  #now = new Map();
  #from = null;
  #to = null;

  /** Begin a look at the time *seconds*. */
  begin(seconds) {
    [this.#before, this.#now] = [this.#now, new Map()];
    [this.#from, this.#to] = [this.#to, seconds];
  }

  note(name, total) {
    this.#now.set(name, total);
  }

  /** Between which times: [from, to] in seconds, or null after the first look. */
  get span() {
    return this.#from === null ? null : [this.#from, this.#to];
  }

  /** How much a counter grew; null when that cannot be told.  A smaller one was begun anew. */
  growth(name) {
    const [old, total] = [this.#before.get(name), this.#now.get(name)];
    if (old === undefined || total === undefined || !this.span) return null;
    return total >= old ? total - old : total;
  }

  rate(name) {
    const grown = this.growth(name);
    return grown === null ? null : grown / (this.#to - this.#from);
  }

  forget() {
    this.#now.clear();
    this.#to = null;
  }
}

/** How much came in each step of the last minutes. */
export class Series {
  constructor(steps, seconds) {
    Object.assign(this, { steps, seconds });
    this.bins = new Map(); // number of the step since the beginning of time -> how much
  }

  /** Add what came between two times, spread evenly over them. */
  add([from, to], amount) {
    const first = Math.floor(from / this.seconds);
    const last = Math.floor(to / this.seconds);
    const oldest = last - this.steps;
    for (let bin = Math.max(first, oldest); bin <= last; bin++) {
      const begin = Math.max(from, bin * this.seconds);
      const end = Math.min(to, (bin + 1) * this.seconds);
      const part = to > from ? (end - begin) / (to - from) : 1;
      if (part >= 0) this.bins.set(bin, (this.bins.get(bin) ?? 0) + amount * part);
    }
    for (const bin of this.bins.keys()) if (bin < oldest) this.bins.delete(bin);
  }

  /** The steps up to the time *now*, oldest first; null while nobody looked. */
  values(now) {
    const oldest = Math.floor(now / this.seconds) - this.steps + 1;
    return Array.from({ length: this.steps }, (_, i) => this.bins.get(oldest + i) ?? null);
  }

  total(now) {
    return this.values(now).reduce((sum, value) => sum + value, 0);
  }
}
