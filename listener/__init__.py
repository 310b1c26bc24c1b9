"""The chain listener: one process per network, from a node's blocks to batches in the Log and the fan-out queue.

`sources/` reads blocks, `adapters/` decodes their logs into events, `market/` derives prices and alerts, and `sink`
writes the batches. `follow` is the loop that drives them.
"""
