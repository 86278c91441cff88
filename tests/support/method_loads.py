"""How often each way to save and load is tried, under which accelerator, and with which QEMUs."""

import os

from orchestrator.errors import UnfitError
from orchestrator.host.facts import QemuFacts
from orchestrator.snapshot.method import Method
from orchestrator.snapshot.table import snapshots
from orchestrator.vm.config import Accel
from tests.support.needs import not_applicable

#: Trials of the combinations that are tried many times.
MANY = 300

#: Trials of each combination.
TRIALS = int(os.environ.get("LOSTTICK_TEST_TRIALS", "8"))

#: Controls of each combination, without which nothing is clean.
CONTROLS = 2 if TRIALS >= MANY else 1

#: Period in milliseconds. It leaves room to hit the phase of a save on a busy machine.
PERIOD_MS = 20

#: Methods that stand for all in the usual run: a load by the running QEMU, one by a new QEMU,
#: and one by a new QEMU that has no disk.
KINDS = (Method.HMP, Method.LOADVM, Method.EXEC)

#: QEMU 5.2, and 11.1.
OLD, NEW = "bullseye", "trixie-backports"


def require(method: Method, qemu: QemuFacts | None) -> None:
    """Skip where this QEMU lacks the method, with its reason."""
    assert qemu is not None
    try:
        snapshots(method, qemu)
    except UnfitError as error:
        not_applicable(str(error))


def only_under(best_accel: Accel, accel: Accel) -> None:
    """Skip what the usual run tries under one accelerator, where this is the other."""
    if TRIALS < MANY and accel is not best_accel:
        not_applicable(f"tried under {best_accel}; here with LOSTTICK_TEST_TRIALS={MANY}")
