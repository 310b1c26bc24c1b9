/** A small model of a stack: it stores events, delivers them, replays them, and fails on request. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { WebSocket as Socket, WebSocketServer } from "ws";
import type { ChaincastEvent, ServerMessage } from "../src/protocol.js";
import { canonical, forms } from "../src/topics.js";

export type Said = { type: string; id: number; topics?: string[]; since?: Record<string, string> } & Record<string, unknown>;
type Block = Extract<ServerMessage, { type: "events" | "retracted" }>;

const SOURCE = "bsc";
export const cursor = (number: number): string => String(number).padStart(12, "0");

export class Server {
  readonly said: Said[] = [];
  readonly protocols: string[] = [];
  readonly urls: string[] = [];
  /** Reply in place of the server's; `null`: no reply. */
  instead: (said: Said) => object | null | undefined = () => undefined;
  readonly #server: WebSocketServer;
  readonly #log: Block[] = [];
  readonly #events = new Map<string, ChaincastEvent>();
  readonly #listening = new Map<Socket, Set<string>>();

  private constructor(server: WebSocketServer) {
    this.#server = server;
    server.on("connection", (socket, request) => {
      this.urls.push(request.url ?? "");
      this.protocols.push(String(request.headers["sec-websocket-protocol"]));
      this.#listening.set(socket, new Set());
      socket.on("message", (text) => this.#answer(socket, JSON.parse(String(text))));
      socket.on("close", () => this.#listening.delete(socket));
      socket.on("error", () => undefined);
      this.#say(socket, { type: "connected", connection_id: "c", dialect: "chaincast.v1", networks: [SOURCE] });
    });
  }

  static async start(): Promise<Server> {
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: () => "chaincast.v1" });
    await once(server, "listening");
    return new Server(server);
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/prod`;
  }

  get connections(): number {
    return this.#listening.size;
  }

  /** A block of events under these topics, one each; what they are. */
  happen(...topics: string[]): ChaincastEvent[] {
    const seq = this.#log.length + 1;
    const events = topics.map((topic, n): ChaincastEvent => {
      const kind = topic.startsWith("prices:") ? "price" : "trade";
      return { id: `${SOURCE}:${seq}:${n}`, kind, timestamp: seq, topics: [topic, `network:${SOURCE}`], data: {} };
    });
    this.tell(events);
    return events;
  }

  /** The same events (again, maybe), as one block. */
  tell(events: ChaincastEvent[]): void {
    for (const event of events) this.#events.set(event.id, event);
    this.#append({ type: "events", source: SOURCE, cursor: cursor(this.#log.length + 1), events });
  }

  retract(...ids: string[]): void {
    this.#append({ type: "retracted", source: SOURCE, cursor: cursor(this.#log.length + 1), ids });
  }

  /** Every connection breaks. */
  cut(): void {
    for (const socket of this.#listening.keys()) socket.terminate();
  }

  /** Send a message to all clients. */
  shout(message: object): void {
    for (const socket of this.#listening.keys()) this.#say(socket, message);
  }

  async stop(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #append(block: Block): void {
    this.#log.push(block);
    for (const socket of this.#listening.keys()) this.#tell(socket, block);
  }

  #tell(socket: Socket, block: Block): void {
    const topics = this.#listening.get(socket) ?? new Set();
    const heard = (event: ChaincastEvent | undefined): boolean =>
      event !== undefined && event.topics.some((topic) => forms(topic).some((form) => topics.has(form)));
    if (block.type === "retracted") {
      const ids = block.ids.filter((id) => heard(this.#events.get(id)));
      if (ids.length > 0) this.#say(socket, { ...block, ids });
    } else {
      const events = block.events.filter(heard);
      if (events.length > 0) this.#say(socket, { ...block, events });
    }
  }

  #answer(socket: Socket, said: Said): void {
    this.said.push(said);
    const instead = this.instead(said);
    if (instead === null) return;
    if (instead !== undefined) {
      this.#say(socket, "type" in instead ? { id: said.id, ...instead } : instead);
      return;
    }
    const topics = (said.topics ?? []).map(canonical);
    const live = this.#listening.get(socket);
    if (said.type === "subscribe") {
      for (const topic of topics) live?.add(topic);
      const cursors = said.cursors ? { cursors: { [SOURCE]: cursor(this.#log.length) } } : {};
      this.#say(socket, { type: "subscribed", id: said.id, topics, ...cursors });
      const since = said.since?.[SOURCE];
      if (since !== undefined) for (const block of this.#log.slice(Number(since))) this.#tell(socket, block);
    } else if (said.type === "unsubscribe") {
      for (const topic of topics) live?.delete(topic);
      this.#say(socket, { type: "unsubscribed", id: said.id, topics });
    } else if (said.type === "get") {
      const past = [...this.#events.values()].reverse();
      if (said.what === "price") this.#say(socket, { type: "price", id: said.id, event: past.find((e) => e.kind === "price") ?? null });
      else this.#say(socket, { type: "history", id: said.id, what: said.what, before: null, events: past.filter((e) => e.kind === "trade") });
    } else if (said.type === "ping") this.#say(socket, { type: "pong", id: said.id, timestamp: Date.now() });
    else if (said.type === "authenticate") this.#say(socket, { type: "authenticated", id: said.id, user: null });
  }

  #say(socket: Socket, message: object): void {
    if (socket.readyState === Socket.OPEN) socket.send(JSON.stringify(message));
  }
}
