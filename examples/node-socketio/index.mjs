// Trades of a network by socket.io-client, with the events that kaspump's frontends know (docs/dialects.md).
import { io } from "socket.io-client";

// The local stack's console knows its URL; in production, write yours here.
const url = new URL(process.env.CHAINCAST_URL ?? (await (await fetch("http://127.0.0.1:4580/config.json")).json()).url);
const network = process.env.CHAINCAST_NETWORK ?? "anvil";

// Of wss://HOST/prod Socket.IO wants https://HOST, and the path by itself.
const socket = io(`${url.protocol.replace("ws", "http")}//${url.host}`, {
  path: url.pathname,
  addTrailingSlash: false,
  transports: ["websocket"],
});

socket.on("connect", () => {
  // Here, not once: after a lost connection Socket.IO's client connects again by itself, and knows nothing of its subscriptions.
  socket.emit("subscribe:network", { network }, (answer) => console.log("subscribed:", answer));
});
socket.on("trade:new", (trade) => console.log(trade.type, trade.amount, "at", trade.price));
socket.on("connect_error", (error) => console.error(`cannot connect to ${url}: ${error.message}`));
