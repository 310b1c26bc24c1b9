// Print the trades of a network with socket.io-client, by the events of kaspump's frontends (docs/dialects.md).
import { io } from "socket.io-client";

// The live console of the local stack serves its URL. In production, write the URL of your stack here.
const url = new URL(process.env.CHAINCAST_URL ?? (await (await fetch("http://127.0.0.1:4580/config.json")).json()).url);
const network = process.env.CHAINCAST_NETWORK ?? "anvil";

// For wss://HOST/prod, Socket.IO needs https://HOST and, as a separate option, the path.
const socket = io(`${url.protocol.replace("ws", "http")}//${url.host}`, {
  path: url.pathname,
  addTrailingSlash: false,
  transports: ["websocket"],
});

socket.on("connect", () => {
  // Subscribe after every connection: the Socket.IO client reconnects automatically, but does not restore subscriptions.
  socket.emit("subscribe:network", { network }, (reply) => console.log("subscribed:", reply));
});
socket.on("trade:new", (trade) => console.log(trade.type, trade.amount, "at", trade.price));
socket.on("connect_error", (error) => console.error(`cannot connect to ${url}: ${error.message}`));
