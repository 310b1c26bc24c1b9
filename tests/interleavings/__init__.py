"""A deterministic simulation of functions that meet between any two of their AWS calls."""
