import { getWebSocketClient } from "./kaspump.mjs";

const client = getWebSocketClient();

client.subscribeToToken("0xTOKEN", "NETWORK");

client.on("trade:new", (trade) => {
  console.log("New trade:", trade);
});

console.log("price", await client.getPrice("0xTOKEN", "NETWORK"));
