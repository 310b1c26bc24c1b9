"""What the conductor and the failing emulator, which runs in an environment of its own, call each other."""

CONDUCTOR = "chaincast-chaos"
"""In the user agent of calls that never fail."""
