"""Long runs on the fake host under faults: each loss is counted once, and no trial is missing.

LOSTTICK_TEST_LONG_TRIALS is the number of trials of all cases together; `tox -e long` has a
million.
"""

import os
import random
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.campaign.run import run_plan
from orchestrator.findings.outcome import Outcome
from orchestrator.journal.file import read_journal
from orchestrator.journal.trial_record import Role, TrialRecord
from orchestrator.plan.load import build_plan
from orchestrator.process.exit import ProcessExit
from orchestrator.testing import FakeHost, FakeQemu, FakeVcpu, Script, immediate
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.fuzz import fuzzing
from tests.support.virtual_time import in_virtual_time

TRIALS = int(os.environ.get("LOSTTICK_TEST_LONG_TRIALS", "2000"))
CASES = 20

#: Loads between two looks at the memory that is in use.
LOADS_A_SAMPLE = 200

#: Bytes that a load may add, for the lists of first ticks and of losses by save; and bytes that
#: come and go.
BYTES_A_LOAD, SLACK = 200, 16 << 20


def resident_bytes() -> int:
    """Return the memory that this process has in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Faults:
    """Draws from a seed what goes wrong at loads."""

    def __init__(self, seed: int, weights: dict[str, int], share: float) -> None:
        self._rng = random.Random(seed)
        self._weights = weights
        self._share = share
        self.made = Counter[str]()
        self._loads = 0
        self.resident: list[int] = []
        """The memory in use, after each so many loads."""

    def on_load(self, qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        self._loads += 1
        if self._loads % LOADS_A_SAMPLE == 0:
            self.resident.append(resident_bytes())
        if qemu.config.control_tick or self._rng.random() >= self._share:
            return
        (kind,) = self._rng.choices(list(self._weights), list(self._weights.values()))
        self.made[kind] += 1
        getattr(self, kind)(qemu, vcpu)

    def lose(self, qemu: FakeQemu, vcpu: FakeVcpu) -> None:
        vcpu.due_ns = None

    def kill(self, qemu: FakeQemu, vcpu: FakeVcpu) -> None:
        """Kill QEMU soon, unless its guest is silent then: nobody could call that lost."""

        def strike() -> None:
            if all(each.due_ns is not None for each in qemu.vcpus):
                qemu.end(ProcessExit(-9, ""))

        qemu.do_later(self._rng.randrange(3 * qemu.period_ns), strike)

    def freeze(self, qemu: FakeQemu, vcpu: FakeVcpu) -> None:
        def thaw() -> None:
            qemu.advance()
            qemu.frozen = False

        qemu.frozen = True
        qemu.do_later(self._rng.randrange(1, 60) * qemu.period_ns, thaw)

    def starve(self, qemu: FakeQemu, vcpu: FakeVcpu) -> None:
        vcpu.waits_ns = self._rng.randrange(3 * qemu.period_ns)

    def talk(self, qemu: FakeQemu, vcpu: FakeVcpu) -> None:
        qemu.say(self._rng.randbytes(50) + b"\n")

    def garble(self, qemu: FakeQemu, vcpu: FakeVcpu) -> None:
        qemu.monitor.send_raw(b"Segmentation fault\r\n")

    def hang_up(self, qemu: FakeQemu, vcpu: FakeVcpu) -> None:
        qemu.monitor.close()


KINDS = ("lose", "kill", "freeze", "starve", "talk", "garble", "hang_up")


async def long_run(faults: Faults, trials: int) -> None:
    plan = build_plan(
        {
            "axes": {"accel": "kvm", "period_ms": 100},
            "limits": {"trials": trials, "rule_out": 0.9},
            "seed": 1,
        },
        "long run",
    )
    with TemporaryDirectory() as out:
        host = FakeHost(Script(faults.on_load))
        result = await run_plan(host, plan, Accel.KVM, Path(out))
        assert all(qemu.ended for qemu in host.started)
        loads = [
            record
            for record in read_journal(result.journal)
            if isinstance(record, TrialRecord) and record.role is Role.HOST
        ]
    _, *warm = faults.resident or [0, 0]
    if warm:
        assert max(warm) - warm[0] <= BYTES_A_LOAD * trials + SLACK, faults.resident
    (cell,) = result.cells
    assert cell.counts.failure is None, cell.why
    assert cell.counts.trials >= trials
    assert cell.counts.attempts == len(loads)
    assert cell.counts.outcomes[Outcome.LOST] == faults.made["lose"], faults.made
    accused = cell.verdict in (Verdict.AFFECTED, Verdict.ANOMALOUS)
    assert accused is (faults.made["lose"] > 0), cell.why


@given(
    seed=st.integers(0, 2**32),
    weights=st.fixed_dictionaries({kind: st.integers(0, 3) for kind in KINDS}).filter(
        lambda weights: any(weights.values())
    ),
    share=st.floats(0.001, 0.02),
)
@settings(fuzzing, max_examples=CASES)
def test_each_loss_is_counted_once(seed: int, weights: dict[str, int], share: float) -> None:
    in_virtual_time(lambda: long_run(Faults(seed, weights, share), TRIALS // CASES))
