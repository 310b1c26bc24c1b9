/**
 * Many clients whose connections break every few seconds, from `storm` to `calm` on standard input. Each line there is
 * answered by one of JSON; `report`: with what each client believes in, in the order of its coming.
 */
import { createInterface } from "node:readline";
import { WebSocket } from "ws";
import { connect } from "../dist/index.js";

const { CHAINCAST_URL: url, CHAINCAST_TOPICS: topics, CHAINCAST_CUT_SECONDS: cut } = process.env;
let calm = true;
let cuts = 0;

const clients = JSON.parse(topics).map((wanted) => {
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
  client.strike = () => {
    if (calm) return;
    if (client.chaincast.state === "open") {
      cuts += 1;
      client.socket.terminate();
    }
    setTimeout(client.strike, (0.5 + Math.random()) * Number(cut) * 1000);
  };
  return client;
});

const sum = (what) => clients.reduce((total, client) => total + client[what], 0);
for await (const line of createInterface(process.stdin)) {
  if (line === "calm") calm = true;
  if (line === "storm") {
    calm = false;
    for (const client of clients) setTimeout(client.strike, Math.random() * Number(cut) * 2000);
  }
  const open = clients.filter((client) => client.chaincast.state === "open").length;
  const held = line === "report" ? clients.map((client) => [...client.held.keys()]) : [];
  console.log(JSON.stringify({ open, held, cuts, repeats: sum("repeats"), retracted: sum("retracted") }));
}
process.exit(0);
