// Wrappers of the libraries that the documents' code uses. They connect to the stack under test, whatever URL the code names, and
// report everything that arrives. They work in Node.js and in a browser.
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
    // The npm package `ws`, which coremem's document uses, has this method; a browser's WebSocket does not.
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

  // Report the code's own output, so that it does not mix with the reports.
  console.log = (...values) => report({ logged: values.map(String) });
  console.error = console.log;
  return { io: connect, WebSocket: Observed, send: (what) => send(what) };
}
