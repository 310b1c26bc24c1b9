const socket = io("http://localhost:3011", { auth: { token: "JWT" }, transports: ["websocket"], timeout: 5000 });

socket.emit("join_room", { room: "price:BTC-USDC" });
socket.emit("join_room", { room: "orderbook:ETH-USDC" });
socket.emit("join_room", { room: "user:USER" });

socket.on("price_update", ({ symbol, price, change, volume }) => {
  console.log("Price update:", { symbol, price, change, volume });
});
socket.on("order_book_update", ({ symbol, bids, asks }) => {
  console.log("Order book:", { symbol, bids, asks });
});
socket.on("trade_notification", (trade) => {
  if (trade.personal) console.log("Your trade executed:", trade);
});
socket.on("portfolio_update", ({ totalValue, pnl, positions }) => {
  console.log("Portfolio update:", { totalValue, pnl, positions });
});
