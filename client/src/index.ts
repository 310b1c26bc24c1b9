export { Chaincast, connect } from "./client.js";
export type { Handler, NowHandler, Page, PageOptions } from "./client.js";
export { ChaincastError } from "./protocol.js";
export type { ChaincastEvent, Json, Now } from "./protocol.js";
export type { Options, State } from "./session.js";
