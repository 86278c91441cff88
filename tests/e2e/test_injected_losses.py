"""Real losses, injected into a real KVM: those found are those made, one by one."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.campaign.run import run_plan
from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.guest.wait import Wait
from orchestrator.host.local import LocalHost, open_host
from orchestrator.plan.load import build_plan
from orchestrator.snapshot.method import Method
from orchestrator.snapshot.table import MethodMissingError, snapshots
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.journal import journal_dicts
from tests.support.method_loads import KINDS
from tests.support.qemus import host_with_qemu
from tests.support.shim import shim_environment

pytestmark = pytest.mark.alone


@contextlib.asynccontextmanager
async def fit_host(method: Method, environment: dict[str, str]) -> AsyncIterator[LocalHost]:
    """Give this host, with a newer QEMU where its own lacks the method."""
    async with contextlib.AsyncExitStack() as stack:
        host = await stack.enter_async_context(open_host(environment=environment))
        try:
            snapshots(method, host.facts.need_qemu())
        except MethodMissingError:
            newer = host_with_qemu("trixie-backports", environment)
            host = await stack.enter_async_context(newer)
        yield host


@pytest.mark.parametrize(
    ("permille", "trials", "method", "vcpus", "wait"),
    [
        (1000, 8, Method.HMP, 1, Wait.BUSY),
        (300, 15, Method.HMP, 1, Wait.BUSY),
        pytest.param(20, 200, Method.HMP, 1, Wait.BUSY, marks=pytest.mark.thorough),
        *(
            pytest.param(
                300, 8, method, 1, Wait.BUSY, marks=() if method in KINDS else pytest.mark.thorough
            )
            for method in Method
            if method is not Method.HMP
        ),
        (300, 10, Method.HMP, 2, Wait.BUSY),
        pytest.param(300, 6, Method.LOADVM, 3, Wait.BUSY, marks=pytest.mark.thorough),
        (300, 12, Method.HMP, 1, Wait.HALT),
        (300, 6, Method.HMP, 2, Wait.HALT),
    ],
)
async def test_the_losses_found_are_the_losses_made(
    tmp_path: Path,
    kvm: Accel,
    shim: Path,
    permille: int,
    trials: int,
    method: Method,
    vcpus: int,
    wait: Wait,
) -> None:
    log = tmp_path / "shim.log"
    environment = shim_environment(shim, log, "forget", seed=3, permille=permille)
    plan = build_plan(
        {
            "axes": {
                "accel": kvm,
                "period_ms": 10 * vcpus,
                "method": method,
                "vcpus": vcpus,
                "wait": wait,
            },
            "limits": {"trials": trials},
            "seed": 3,
            # The control of one vCPU has others that would be tampered with. Other tests have
            # controls of each method.
            "controls": 2 if vcpus == 1 and method is Method.HMP else 0,
        },
        "test",
    )
    out = tmp_path / "out"
    out.mkdir()
    async with fit_host(method, environment) as host:
        result = await run_plan(host, plan, kvm, out)
    (cell,) = result.cells

    # The control's saves have another vector: only the host's arm is tampered with.
    attempts = [
        record
        for record in journal_dicts(result.journal)
        if record["record"] == "trial" and record["role"] == "host"
    ]
    notes = log.read_text()
    noted = [(int(vcpu), done == "1") for vcpu, done in zip(notes[::2], notes[1::2], strict=True)]
    made = [
        {vcpu for vcpu, done in noted[start : start + vcpus] if done}
        for start in range(0, len(noted), vcpus)
    ]
    found = [
        {each["vcpu"] for each in record["vcpus"] or [record] if each["outcome"] == Outcome.LOST}
        for record in attempts
    ]
    print(f"{sum(map(bool, made))} of {len(made)} loads tampered with: {made}")
    assert len(made) == len(found) == trials
    assert made == found
    assert any(made)
    assert cell.counts.causes == {Cause.NOT_RESTORED: sum(map(bool, made))}
    assert cell.counts.lost_by_vcpu == Counter(vcpu for load in made for vcpu in load)
    assert cell.verdict is result.verdict is Verdict.ANOMALOUS
    assert all(control.seen for control in cell.counts.controls)
