/** Formatting of numbers, times and untrusted texts. */

const SUBSCRIPT = "₀₁₂₃₄₅₆₇₈₉";
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** Format a price: `1,234`, `0.0123`, and `0.0₈2745` for 0.000000002745. */
export function price(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const sign = value < 0 ? "-" : "";
  if (size >= 1000) return sign + whole.format(size);
  if (size >= 0.001) return sign + String(Number(size.toPrecision(4)));
  const [digits, exponent] = size.toExponential(3).split("e-") as [string, string];
  const zeros = [...String(Number(exponent) - 1)].map((digit) => SUBSCRIPT[Number(digit)]).join("");
  return `${sign}0.0${zeros}${digits.replace(".", "").replace(/0+$/, "")}`;
}

/** Format an amount: `12`, `3.4K`, `1.2B`. */
export function amount(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  return Math.abs(value) < 0.1 ? price(value) : compact.format(value);
}

/** Convert base units (wei), a decimal string, to whole units. NaN if it is none. */
export function units(value: unknown, decimals = 18): number {
  return typeof value === "string" || typeof value === "number" ? Number(value) / 10 ** decimals : NaN;
}

/** Format a change in percent: `+3.2 %`; empty if it is unknown. */
export function change(percent: number | null): string {
  if (percent === null || !Number.isFinite(percent)) return "";
  return `${percent > 0 ? "+" : ""}${Math.abs(percent) >= 1000 ? compact.format(percent) : percent.toFixed(1)} %`;
}

/** Format a duration: `12 ms`, `1.5 s`. */
export function milliseconds(value: number): string {
  return value >= 10_000 ? `${(value / 1000).toFixed(0)} s` : value >= 1000 ? `${(value / 1000).toFixed(1)} s` : `${Math.round(value)} ms`;
}

/** Format the time of day in the reader's time zone. */
export function time(timestamp: number): string {
  return new Date(timestamp).toLocaleTimeString("en-GB");
}

/** Shorten an address: `0xAbAb…AbAb`. */
export function short(address: string): string {
  return address.length > 13 ? `${address.slice(0, 6)}…${address.slice(-4)}` : address;
}

/** Make an untrusted text safe to show: without control characters and bidirectional marks, of limited length. */
export function plain(text: unknown, maxLength = 60): string {
  const clean = String(text ?? "").replace(/[\p{C}\u2028\u2029]/gu, "�");
  return clean.length > maxLength ? `${clean.slice(0, maxLength - 1)}…` : clean;
}
