"""Settings of all tests: coroutine tests run in an event loop of their own, and properties have no time limit."""

from __future__ import annotations

import asyncio
import inspect

import pytest
from hypothesis import HealthCheck, settings

# A busy machine makes an example slow, which is no fault of the code. tests/run.py limits the time of a whole test.
settings.register_profile("chaincast", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("chaincast")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an `async def` test to its end; `None` for the others, which pytest runs itself."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True
