"""Sources of blocks: the nodes and APIs that the listener reads."""
