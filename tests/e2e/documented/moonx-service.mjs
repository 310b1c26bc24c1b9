const socket = new WebSocket("ws://localhost:3008/ws");

socket.onmessage = (event) => {
  const message = JSON.parse(event.data);
  if (message.type === "auth_required") {
    const data = { token: "JWT" };
    socket.send(JSON.stringify({ id: `auth_${Date.now()}`, type: "authenticate", timestamp: Date.now(), data }));
  }
};

socket.onclose = (event) => {
  console.log("Connection closed:", event.code, event.reason);
};
