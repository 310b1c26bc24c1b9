import { connect } from "chaincast-client";
import { ChaincastProvider } from "chaincast-client/react";
import { createRoot } from "react-dom/client";
import { App } from "./App.js";

// The local stack's console knows its URL; in production, write yours here.
const found = new URLSearchParams(location.search).get("url");
const url = found ?? (await (await fetch("http://127.0.0.1:4580/config.json")).json()).url;

createRoot(document.getElementById("root")!).render(
  <ChaincastProvider client={connect(url)}>
    <App />
  </ChaincastProvider>,
);
