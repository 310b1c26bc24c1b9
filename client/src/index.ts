export { Chaincast, connect } from "./client.js";
export type { Handler, SnapshotHandler, Page, PageOptions } from "./client.js";
export { ChaincastError } from "./protocol.js";
export type { ChaincastEvent, Json, TokenSnapshot } from "./protocol.js";
export type { Options, State } from "./session.js";
