/** What the page is served with: config.json, beside it. */
export interface Settings {
  /** The stack's WebSocket URL. */
  url: string;
  networks: string[];
  /** Whether clients authenticate: `off`, `optional`, `required`. */
  auth: string;
}

export async function readSettings(): Promise<Settings> {
  const answer = await fetch("config.json", { cache: "no-store" });
  if (!answer.ok) throw new Error(`config.json: HTTP ${answer.status}; it should be beside this page`);
  const found = (await answer.json()) as Partial<Settings>;
  if (!found.url || !/^wss?:\/\//.test(found.url)) throw new Error(`config.json: url is ${JSON.stringify(found.url)}; it should be wss://…`);
  return { url: found.url, networks: found.networks ?? [], auth: found.auth ?? "off" };
}
