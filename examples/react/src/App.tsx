import { useAlerts, useConnectionState, useEvents, usePrice, useTrades } from "chaincast-client/react";

/** Shows the token that was traded last, with its price and trades, and the newest alerts. */
export function App() {
  const [newest] = useEvents("trades:*:*", 1);
  const alerts = useAlerts("*", 3);
  const network = newest?.topics.find((topic) => topic.startsWith("network:"))?.slice("network:".length);
  return (
    <main>
      <p>Connection: {useConnectionState()}</p>
      {newest?.token && network ? <Token network={network} token={newest.token} /> : <p>No trade yet.</p>}
      <ul>
        {alerts.map((alert) => (
          <li key={alert.id}>{String(alert.data.message)}</li>
        ))}
      </ul>
    </main>
  );
}

function Token({ network, token }: { network: string; token: string }) {
  const price = usePrice(token, network);
  const trades = useTrades(token, network, 10);
  return (
    <section>
      <h1>{String(price?.data.symbol ?? token)}</h1>
      <p>Price: {price ? String(price.data.price) : "…"}</p>
      <ol>
        {trades.map((trade) => (
          <li key={trade.id}>
            {String(trade.data.side)} at {String(trade.data.price)}
          </li>
        ))}
      </ol>
    </section>
  );
}
