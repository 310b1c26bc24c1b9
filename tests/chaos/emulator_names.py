"""Names that the chaos test shares with the failing emulator, which runs in another Python environment."""

ADMINISTRATOR = "chaincast-chaos"
"""Part of the user agent of calls that never fail."""
