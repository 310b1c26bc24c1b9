"""Fan-out, the part that decides: which connection gets which bytes."""
