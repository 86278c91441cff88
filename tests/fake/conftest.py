"""The tests with fake peers run in virtual time: see `orchestrator.testing.virtual_time`."""

from collections.abc import Callable, Mapping

from orchestrator.testing.virtual_time import VirtualTimeLoop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], VirtualTimeLoop]]:
    """Run every coroutine here on a loop that jumps to the next timer."""
    return {"virtual": VirtualTimeLoop}
