"""The documentation that a deployment serves at `/docs`, generated from the code when the stack is synthesized."""
