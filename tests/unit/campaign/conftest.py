"""Tests of a campaign's order run in virtual time: how quick a computer is must not matter."""

from collections.abc import Callable, Mapping

from orchestrator.testing.virtual_time import VirtualTimeLoop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], VirtualTimeLoop]]:
    """Run every coroutine here on a loop that jumps to the next timer."""
    return {"virtual": VirtualTimeLoop}
