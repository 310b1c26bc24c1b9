// A client wrapper like the one that kaspump's document uses but does not contain.
import { io } from "./recording.mjs";

export function getWebSocketClient() {
  const socket = io("http://localhost:4000");
  return {
    on: (event, handler) => socket.on(event, handler),
    subscribeToToken: (tokenAddress, network) => socket.emit("subscribe:token", { tokenAddress, network }),
    getPrice: (tokenAddress, network) =>
      new Promise((resolve, reject) =>
        socket.emit("get:price", { tokenAddress, network }, ({ success, data, error }) =>
          success ? resolve(data.price) : reject(new Error(error)),
        ),
      ),
  };
}
