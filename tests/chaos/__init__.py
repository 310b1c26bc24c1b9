"""A chaos test: many kinds of faults at once for a while, after which every client must have the chain's events."""
