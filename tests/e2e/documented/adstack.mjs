const socket = io("http://localhost:3002");

socket.on("connect", () => {
  socket.emit("subscribe", { contractId: "CONTRACT", eventTypes: ["trade", "token.graduated"] });
});
