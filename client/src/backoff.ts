const FIRST_MS = 500;
const MOST_MS = 30_000;

/**
 * How long to wait before the n-th try (from 0) to connect: anything up to a ceiling that doubles, so that a crowd that
 * lost its connections together does not come back together. ("Exponential Backoff And Jitter", AWS Architecture Blog.)
 */
export function pause(tries: number, random: () => number = Math.random): number {
  return random() * Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(tries, 16));
}
