"""The chain listener: one process per network, from a node's blocks to batches in the Log and the fan-out queue.

sources/ bring blocks → adapters/ turn a log into an event → indexer makes batches → sink writes them; follow drives it.
"""
