// The module that the documents' code imports in place of the libraries, in Node.js. It prints reports as lines, and sends each line
// of standard input.
import { createInterface } from "node:readline";
import { io as connect } from "socket.io-client";
import Socket from "ws";
import { observing } from "./observing.mjs";

const report = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const observed = observing({ io: connect, WebSocket: Socket }, process.env.CHAINCAST_URL, report);
export const { io, WebSocket } = observed;

createInterface({ input: process.stdin })
  .on("line", (line) => observed.send(JSON.parse(line)))
  .on("close", () => process.exit(0));
