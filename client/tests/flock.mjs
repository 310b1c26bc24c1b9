/**
 * Many clients whose connections break every few seconds, from `storm` to `calm`, in Node.js or in a page. `tear` breaks a
 * socket as hard as the environment can.
 */
export class Flock {
  #clients;
  #cut;
  #tear;
  #calm = true;
  #cuts = 0;

  constructor({ connect, WebSocket, url, topics, cutSeconds, tear }) {
    this.#cut = cutSeconds * 1000;
    this.#tear = tear;
    this.#clients = topics.map((wanted) => {
      const client = { held: new Map(), repeats: 0, retracted: 0 };
      class Cut extends WebSocket {
        constructor(...args) {
          super(...args);
          client.socket = this;
        }
      }
      client.chaincast = connect(url, { WebSocket: Cut });
      client.chaincast.subscribe(wanted, (event, retracted) => {
        if (retracted) {
          client.retracted += 1;
          client.held.delete(event.id);
        } else {
          client.repeats += client.held.has(event.id);
          client.held.set(event.id, event);
        }
      });
      return client;
    });
  }

  /** Replies to `report` with the events that each client holds, in the order of arrival. */
  answer(line) {
    if (line === "calm") this.#calm = true;
    if (line === "storm") {
      this.#calm = false;
      for (const client of this.#clients) setTimeout(() => this.#strike(client), Math.random() * 2 * this.#cut);
    }
    const sum = (what) => this.#clients.reduce((total, client) => total + client[what], 0);
    const open = this.#clients.filter((client) => client.chaincast.state === "open").length;
    const held = line === "report" ? this.#clients.map((client) => [...client.held.keys()]) : [];
    return { open, held, cuts: this.#cuts, repeats: sum("repeats"), retracted: sum("retracted") };
  }

  #strike(client) {
    if (this.#calm) return;
    if (client.chaincast.state === "open") {
      this.#cuts += 1;
      this.#tear(client.socket);
    }
    setTimeout(() => this.#strike(client), (0.5 + Math.random()) * this.#cut);
  }
}
