"""The market engine: prices, statistics and alerts of each token. Only `store` accesses AWS; the rest is pure."""
