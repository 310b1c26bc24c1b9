"""Chaincast's tests: unit (nothing around), integration (moto, a real node), infra (the template), e2e (the stack)."""
