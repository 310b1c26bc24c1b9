"""`chaincast.toml`, the one file that a team edits. Empty: functions import `function_settings` without pydantic."""
