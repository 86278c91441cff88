"""The direct test in labs that fail: each failure keeps its own words."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.direct.wanted import DirectTrials
from orchestrator.lab import direct as module
from orchestrator.lab import labs
from orchestrator.lab.arms import Arm
from orchestrator.lab.direct import run_direct_in_labs
from orchestrator.lab.emulator.bochs import Bochs
from orchestrator.lab.emulator.boot import LabError
from orchestrator.lab.host.host import LabHost
from orchestrator.lab.kernel.kernel import Kernel
from orchestrator.lab.kernel.names import kernel
from orchestrator.lab.labs import LabParts
from orchestrator.verdict.verdict import Verdict
from tests.support.trees import tree

BOCHS = Bochs(Path("bochs"), Path("bios"), Path("vga"), "a Bochs of the test's")


@pytest.mark.parametrize("parallel", [1, 2])
async def test_a_lab_that_fails_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parallel: int
) -> None:
    panic = "its kernel panicked (Kernel panic - not syncing: no init)"

    @contextlib.asynccontextmanager
    async def boot(image: SimpleNamespace, *_: object) -> AsyncIterator[LabHost]:
        raise LabError(panic, [f"the last words of {image.kernel.title}"])
        yield

    monkeypatch.setattr(labs, "boot", boot)
    monkeypatch.setattr(module, "direct_parts", LabParts)
    kernels: list[Kernel] = [
        kernel(f"{name}=tree:{tree(tmp_path / name, built=name)}") for name in ("before", "after")
    ]
    out = tmp_path / "out"
    out.mkdir()
    result = await run_direct_in_labs(
        [Arm(each) for each in kernels], DirectTrials(1, 4_000_000, (0,)), 0.95, out,
        bochs=BOCHS, parallel=parallel,
    )  # fmt: skip
    assert [host.name for host in result.hosts] == ["before/untouched", "after/untouched"]
    for host, name in zip(result.hosts, ("before", "after"), strict=True):
        assert host.verdict is Verdict.INCONCLUSIVE
        assert panic in host.why
        assert f"the last words of {name}" in host.why
        assert "ExceptionGroup" not in host.why
    assert len(list((out / "serial").iterdir())) == 2
