"""The market engine: prices, statistics and alerts of each token. Only `store` talks to AWS; the rest is pure."""
