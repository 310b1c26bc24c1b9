"""Fan-out: delivery of batches to the connections that subscribe to their topics."""
