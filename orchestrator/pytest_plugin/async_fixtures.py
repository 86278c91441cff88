"""The fixture for tests that are coroutines. It needs pytest-asyncio."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from orchestrator.pytest_plugin.plugin import case_of

if TYPE_CHECKING:
    from orchestrator.host.protocol import Host
    from orchestrator.pytest_plugin.machines import AsyncMachines


@pytest_asyncio.fixture
async def losttick_async_machine(
    request: pytest.FixtureRequest, losttick_host: "Host"
) -> "AsyncIterator[AsyncMachines]":
    """Give a coroutine function that starts virtual machines. They end with the test."""
    from orchestrator.pytest_plugin.machines import AsyncMachines

    async with AsyncMachines(case_of(request), losttick_host) as machines:
        yield machines
