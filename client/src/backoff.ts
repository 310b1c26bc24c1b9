const FIRST_MS = 500;
const MAX_MS = 30_000;

/**
 * Return the milliseconds to wait before the n-th attempt (from 0) to connect: random, up to a ceiling that doubles, so that
 * clients that lost their connections together do not reconnect together.
 * Source: "Exponential Backoff And Jitter", AWS Architecture Blog.
 */
export function pause(tries: number, random: () => number = Math.random): number {
  return random() * Math.min(MAX_MS, FIRST_MS * 2 ** Math.min(tries, 16));
}
