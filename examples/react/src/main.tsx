import { connect } from "chaincast-client";
import { ChaincastProvider } from "chaincast-client/react";
import { createRoot } from "react-dom/client";
import { App } from "./App.js";

// The live console of the local stack serves its URL. In production, write the URL of your stack here.
const parameter = new URLSearchParams(location.search).get("url");
const url = parameter ?? (await (await fetch("http://127.0.0.1:4580/config.json")).json()).url;

createRoot(document.getElementById("root")!).render(
  <ChaincastProvider client={connect(url)}>
    <App />
  </ChaincastProvider>,
);
