"""The market: what trades, reserves and liquidity say of each token. Pure; `store` alone talks to AWS."""
