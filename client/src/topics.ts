const FOLDED = new Set(["tokens", "trades", "prices", "token", "network", "contract", "alerts"]);

/** A topic in its canonical form: networks, addresses and alerts' types in lower case. */
export function canonical(topic: string): string {
  return FOLDED.has(topic.split(":", 1)[0] ?? "") ? topic.toLowerCase() : topic;
}

/** The topics whose listeners an event under `topic` reaches: itself, and with `*` for any of its parts. */
export function forms(topic: string): string[] {
  const [family, scope, key] = topic.split(":") as [string, string?, string?];
  if (scope === undefined) return [topic];
  if (key === undefined) return [topic, `${family}:*`];
  return [topic, `${family}:${scope}:*`, `${family}:*:${key}`, `${family}:*:*`];
}
