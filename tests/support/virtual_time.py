"""Fake peers in virtual time, outside of tests that are coroutines.

pytest-asyncio runs an async fixture of such a test on a loop of its own, whose time is the real
one.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from orchestrator.testing import VirtualTimeLoop

Result = TypeVar("Result")


def in_virtual_time(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a coroutine on a loop that jumps to the next timer; return its result."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(work())
