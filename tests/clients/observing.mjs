// The libraries as the documents' code sees them: themselves, with the URL (and Socket.IO's path) of the stack under
// test. Whatever arrives is reported. In Node.js and in a browser alike.
export function observing({ io, WebSocket }, address, report) {
  const url = new URL(address);
  let send;

  class Observed extends WebSocket {
    constructor() {
      super(url.href);
      this.addEventListener("message", ({ data }) => report({ message: JSON.parse(data) }));
      this.addEventListener("close", ({ code }) => report({ closed: code }));
      send = (what) => this.send(JSON.stringify(what));
    }
  }
  if (!("on" in WebSocket.prototype)) {
    // As the npm package `ws` has it, which coremem's document uses; a browser's WebSocket has not.
    Observed.prototype.on = function on(type, handler) {
      this.addEventListener(type, (event) => handler(event.data ?? event));
    };
  }

  function connect(_, options = {}) {
    const ours = { path: url.pathname, addTrailingSlash: false, transports: ["websocket"] };
    const socket = io(`http://${url.host}`, { ...options, ...ours });
    socket.onAny((event, data) => report({ event, data }));
    socket.on("connect", () => report({ connected: socket.id }));
    socket.on("disconnect", (reason) => report({ disconnected: reason }));
    socket.on("connect_error", (error) => report({ refused: error.message, data: error.data }));
    send = ({ emit, ack }) => socket.emit(...emit, ...(ack ? [(answer) => report({ ack, answer })] : []));
    return socket;
  }

  // What the code itself prints is not for whoever reads the reports.
  console.log = (...said) => report({ logged: said.map(String) });
  console.error = console.log;
  return { io: connect, WebSocket: Observed, send: (what) => send(what) };
}
