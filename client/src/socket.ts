import { ChaincastError, parse, type ServerMessage } from "./protocol.js";

const OPEN_MS = 15_000;
/** API Gateway waits 29 s for a function: an earlier retry would add load to a busy stack. */
const ANSWER_MS = 30_000;

type Request = { resolve: (reply: ServerMessage) => void; reject: (error: ChaincastError) => void };

/** One WebSocket: matches requests with replies, and passes other messages on. It is used once and does not reconnect. */
export class Socket {
  /** Resolves when the connection is open; rejects if it cannot be opened. */
  readonly opened: Promise<void>;
  /** Resolves when the connection is closed, from either side. */
  readonly ended: Promise<void>;
  receivedAt = Date.now();
  sentAt = Date.now();
  isClosed = false;
  /** Topics that the server has confirmed. */
  readonly subscribed = new Set<string>();
  readonly #webSocket: WebSocket;
  readonly #onUnsolicited: (message: ServerMessage) => void;
  readonly #requests = new Map<number, Request>();
  #asked = 0;
  #end!: () => void;

  constructor(webSocket: WebSocket, onUnsolicited: (message: ServerMessage) => void) {
    this.#webSocket = webSocket;
    this.#onUnsolicited = onUnsolicited;
    this.ended = new Promise((resolve) => (this.#end = resolve));
    this.opened = new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.close(), OPEN_MS);
      webSocket.onopen = () => {
        clearTimeout(timer);
        resolve();
      };
      void this.ended.then(() => {
        clearTimeout(timer);
        reject(new ChaincastError("CLOSED", "the connection could not be opened"));
      });
    });
    this.opened.catch(() => undefined);
    webSocket.onmessage = (message: MessageEvent) => this.#onMessage(message.data);
    webSocket.onclose = () => this.close();
    webSocket.onerror = () => this.close();
  }

  /** Send a message and return the reply. Rejects with a `ChaincastError`: a refusal of the server, `TIMEOUT` or `CLOSED`. */
  ask(message: Record<string, unknown>, patience = ANSWER_MS): Promise<ServerMessage> {
    if (this.isClosed) return Promise.reject(new ChaincastError("CLOSED", "the connection is closed"));
    const id = ++this.#asked;
    return new Promise<ServerMessage>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new ChaincastError("TIMEOUT", `no answer to ${String(message.type)} in ${patience / 1000} s`));
        this.close(); // half-open connection
      }, patience);
      const settled = <T>(settle: (value: T) => void) => (value: T) => {
        clearTimeout(timer);
        this.#requests.delete(id);
        settle(value);
      };
      this.#requests.set(id, { resolve: settled(resolve), reject: settled(reject) });
      this.sentAt = Date.now();
      this.#webSocket.send(JSON.stringify({ ...message, id }));
    });
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#webSocket.onopen = this.#webSocket.onmessage = this.#webSocket.onclose = null;
    this.#webSocket.onerror = () => undefined;
    this.#webSocket.close();
    this.#fail(new ChaincastError("CLOSED", "the connection was lost"));
    this.#end();
  }

  #onMessage(text: unknown): void {
    this.receivedAt = Date.now();
    const message = parse(text);
    if (message === undefined) return;
    const request = "id" in message ? this.#requests.get(Number(message.id)) : undefined;
    if (message.type === "error") {
      const error = new ChaincastError(message.code, message.message, message);
      if (request) request.reject(error);
      // API Gateway's errors do not name the request, so all pending requests fail.
      else if (message.code === "GATEWAY") this.#fail(error);
      else this.#onUnsolicited(message);
    } else if (request) request.resolve(message);
    else this.#onUnsolicited(message);
  }

  #fail(error: ChaincastError): void {
    for (const request of [...this.#requests.values()]) request.reject(error);
  }
}
