/** A flock in Node.js: each line of standard input is answered by one of JSON. */
import { createInterface } from "node:readline";
import { WebSocket } from "ws";
import { connect } from "../dist/index.js";
import { Flock } from "./flock.mjs";

const { CHAINCAST_URL: url, CHAINCAST_TOPICS: topics, CHAINCAST_CUT_SECONDS: cut } = process.env;
const tear = (socket) => socket.terminate();
const flock = new Flock({ connect, WebSocket, url, topics: JSON.parse(topics), cutSeconds: Number(cut), tear });
for await (const line of createInterface(process.stdin)) console.log(JSON.stringify(flock.answer(line)));
process.exit(0);
