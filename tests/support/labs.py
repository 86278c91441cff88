"""Labs that the tests of a module share: one boot a kernel, with its modules loaded anew."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from orchestrator.direct.wanted import DirectTrials
from orchestrator.errors import UnfitError
from orchestrator.findings.series import Series
from orchestrator.host.facts import HostFacts
from orchestrator.lab.arms import Arm
from orchestrator.lab.direct import count_in_lab, direct_parts
from orchestrator.lab.emulator.bochs import Bochs
from orchestrator.lab.host.host import LabHost
from orchestrator.lab.kernel.kernel import Kernel
from orchestrator.lab.kernel.names import default_kernel, kernel
from orchestrator.lab.labs import Labs
from orchestrator.testing import FACTS
from tests.support.needs import Need, lacking

T = TypeVar("T")

#: How often the tests of a module may ask for one arm, at most.
_OFTEN = 20


def fetched(name: str | None = None) -> Kernel:
    try:
        return kernel(name) if name else default_kernel()
    except UnfitError as error:
        lacking(Need.LAB, f"{name or 'a kernel'}: {error}")


class SharedLabs:
    """Gives plain tests the labs of some arms."""

    def __init__(self, runner: "asyncio.Runner", labs: Labs, folder: Path) -> None:
        self._runner, self._labs, self._folder = runner, labs, folder

    def use(self, arm: Arm, do: Callable[[LabHost], Awaitable[T]]) -> T:
        """Do something in a lab in which the arm's modules are freshly loaded."""

        async def there() -> T:
            async with self._labs.host(arm) as host:
                facts = host.facts
                assert facts.kernel == arm.kernel.release
                assert facts.kvm_modules["kvm_intel"]["enable_apicv"] == "NY"[arm.apicv]
                return await do(host)

        with pytest.MonkeyPatch.context() as patch:
            # What is booted here outlives the test, whose own folder must be empty then.
            patch.setenv("XDG_RUNTIME_DIR", str(self._folder))
            try:
                return self._runner.run(there())
            except UnfitError as error:
                lacking(Need.LAB, f"{arm.name}: {error}")

    def count(self, arm: Arm, wanted: DirectTrials) -> tuple[HostFacts, tuple[Series, ...]]:
        """Run the direct test; its control must be lost."""

        async def there(host: LabHost) -> tuple[HostFacts, tuple[Series, ...]]:
            found = await count_in_lab(host, wanted)
            assert found.control.lost == found.control.trials
            return host.facts, found.series

        return self.use(arm, there)


@contextlib.contextmanager
def shared_labs(emulator: Bochs, arms: Sequence[Arm], folder: Path) -> Iterator[SharedLabs]:
    """Share the labs of some arms; nothing of theirs is left in `folder`."""
    with asyncio.Runner() as runner:
        labs = Labs(direct_parts(emulator), [*arms] * _OFTEN, FACTS, folder, parallel=1)
        runner.run(labs.__aenter__())
        try:
            yield SharedLabs(runner, labs, folder)
        finally:
            runner.run(labs.__aexit__(None, None, None))
    assert [path.name for path in folder.iterdir()] in ([], ["serial"])
