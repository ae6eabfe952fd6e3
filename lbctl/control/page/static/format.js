// The numbers, as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const UNITS = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];

export const count = (number) => whole.format(number);

/** 1234567 as "1.23 M". */
export function short(number) {
  for (const [size, unit] of UNITS) {
    if (number >= size * 0.9995) return `${(number / size).toPrecision(3)} ${unit}`;
  }
  return number >= 99.95 || Number.isInteger(number) ? whole.format(number) : number.toFixed(1);
}

/** Per second; null is not known yet. */
export const rate = (number) => (number === null ? "–" : `${short(number)}/s`);

export const percent = (part, digits = 1) =>
  part === null || part === undefined ? "–" : `${(100 * part).toFixed(digits)} %`;

/** A time of the API, as the clock on the wall shows it; with the day if that is not today. */
export function clock(iso) {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return iso;
  const clock = time.toLocaleTimeString("en-GB");
  const today = time.toDateString() === new Date().toDateString();
  return today ? clock : `${time.toLocaleDateString("en-CA")} ${clock}`;
}

/** 4.25 as "4.3 s", 7199 as "1 h". */
export function duration(seconds) {
  if (seconds < 60) return `${Number.isInteger(seconds) || seconds >= 10 ? Math.round(seconds) : seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86400)} d`;
}

export const age = (iso) => duration(Math.round(Math.max(0, (Date.now() - new Date(iso).getTime()) / 1000)));

export const plural = (number, one, several = `${one}s`) =>
  `${count(number)} ${number === 1 ? one : several}`;
