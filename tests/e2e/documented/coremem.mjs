const socket = new WebSocket("ws://localhost:3003");

socket.on("open", () => {
  socket.send(JSON.stringify({ type: "subscribe", channel: "prices", params: { tokens: ["0xTOKEN"] } }));
});

socket.on("message", (data) => {
  const message = JSON.parse(data);
  if (message.type === "data" && message.channel === "prices") {
    console.log("Price update:", message.data.prices);
  } else if (message.type === "error") {
    console.error("Error:", message.message);
  }
});
