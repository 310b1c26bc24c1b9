"""The documentation that a deployment serves at `/docs`, made from the code when the stack is synthesized."""
