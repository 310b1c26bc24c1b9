import { ChaincastError, parse, type Told } from "./protocol.js";

const OPEN_MS = 15_000;
/** API Gateway gives a function 29 s for its answer: who asks again before makes a busy stack busier. */
const ANSWER_MS = 30_000;

type Request = { resolve: (told: Told) => void; reject: (error: ChaincastError) => void };

/** One WebSocket: questions with their answers, and what is told unasked. Once it is gone, it stays so. */
export class Link {
  /** Resolves when the connection is open; rejects if it never is. */
  readonly opened: Promise<void>;
  /** Resolves when it is over, whoever ended it. */
  readonly gone: Promise<void>;
  heardAt = Date.now();
  saidAt = Date.now();
  over = false;
  /** Topics that are listened to. */
  readonly live = new Set<string>();
  readonly #socket: WebSocket;
  readonly #told: (told: Told) => void;
  readonly #requests = new Map<number, Request>();
  #asked = 0;
  #end!: () => void;

  constructor(socket: WebSocket, told: (told: Told) => void) {
    this.#socket = socket;
    this.#told = told;
    this.gone = new Promise((resolve) => (this.#end = resolve));
    this.opened = new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.close(), OPEN_MS);
      socket.onopen = () => {
        clearTimeout(timer);
        resolve();
      };
      void this.gone.then(() => {
        clearTimeout(timer);
        reject(new ChaincastError("CLOSED", "the connection could not be opened"));
      });
    });
    this.opened.catch(() => undefined);
    socket.onmessage = (message: MessageEvent) => this.#hear(message.data);
    socket.onclose = () => this.close();
    socket.onerror = () => this.close();
  }

  /** Send a message, and wait for its answer. Raises `ChaincastError`: what the server refuses, `TIMEOUT`, `CLOSED`. */
  ask(message: Record<string, unknown>, patience = ANSWER_MS): Promise<Told> {
    if (this.over) return Promise.reject(new ChaincastError("CLOSED", "the connection is closed"));
    const id = ++this.#asked;
    return new Promise<Told>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new ChaincastError("TIMEOUT", `no answer to ${String(message.type)} in ${patience / 1000} s`));
        this.close(); // half-open: nobody is there
      }, patience);
      const settled = <T>(settle: (value: T) => void) => (value: T) => {
        clearTimeout(timer);
        this.#requests.delete(id);
        settle(value);
      };
      this.#requests.set(id, { resolve: settled(resolve), reject: settled(reject) });
      this.saidAt = Date.now();
      this.#socket.send(JSON.stringify({ ...message, id }));
    });
  }

  close(): void {
    if (this.over) return;
    this.over = true;
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.onerror = () => undefined;
    this.#socket.close();
    this.#fail(new ChaincastError("CLOSED", "the connection was lost"));
    this.#end();
  }

  #hear(text: unknown): void {
    this.heardAt = Date.now();
    const told = parse(text);
    if (told === undefined) return;
    const request = "id" in told ? this.#requests.get(Number(told.id)) : undefined;
    if (told.type === "error") {
      const error = new ChaincastError(told.code, told.message, told);
      if (request) request.reject(error);
      // API Gateway does not say what it could not do: then nothing that was asked can be relied on.
      else if (told.code === "GATEWAY") this.#fail(error);
      else this.#told(told);
    } else if (request) request.resolve(told);
    else this.#told(told);
  }

  #fail(error: ChaincastError): void {
    for (const request of [...this.#requests.values()]) request.reject(error);
  }
}
