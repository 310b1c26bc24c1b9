/** The contents of config.json, which is served with the page. */
export interface Settings {
  /** The stack's WebSocket URL. */
  url: string;
  networks: string[];
  /** Authentication of clients: `off`, `optional` or `required`. */
  auth: string;
}

/** Read config.json. Throws an error that says what is wrong with it. */
export async function readSettings(): Promise<Settings> {
  const response = await fetch("config.json", { cache: "no-store" });
  if (!response.ok) throw new Error(`config.json: HTTP ${response.status}; serve the file from the folder of this page`);
  const { url, networks, auth } = (await response.json()) as Partial<Settings>;
  if (!url || !/^wss?:\/\//.test(url)) throw new Error(`config.json: url ${JSON.stringify(url)}: it must begin with wss:// or ws://`);
  return { url, networks: networks ?? [], auth: auth ?? "off" };
}
