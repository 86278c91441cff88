"""One long run on real KVM beside programs that keep its CPUs busy: `tox -e long`.

LOSTTICK_TEST_LONG_LOADS is the number of loads.
"""

import json
import os
import time
from pathlib import Path

import pytest

from orchestrator.vm.config import Accel
from tests.support.command import started
from tests.support.rounds import busy_loops

LOADS = int(os.environ.get("LOSTTICK_TEST_LONG_LOADS", "20000"))

#: The run has counted, and so allocated, what every further load uses again.
WARM = 0.1

#: Bytes that each load may add: the cell's lists of first ticks and of loads by save.
BYTES_A_LOAD = 150

#: Bytes that come and go.
SLACK = 8 << 20


def resident_bytes(pid: int) -> int:
    """Return the memory that a process has in use."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.thorough
@pytest.mark.timeout(0)
def test_its_memory_is_flat_and_no_load_is_missing(tmp_path: Path, kvm: Accel) -> None:
    events = tmp_path / "events"
    sampled: list[tuple[int, int]] = []
    with (
        busy_loops(2),
        started(
            "run", "--json", "--accel", kvm, "--period", "5", "--trials", str(LOADS),
            "--rule-out", str(3.1 / LOADS), "--events", str(events), "--out", "out", cwd=tmp_path,
        ) as process,
    ):  # fmt: skip
        loads, place, began = 0, 0, time.monotonic()
        while process.poll() is None:
            time.sleep(1)
            if events.exists():
                with events.open("rb") as steps:
                    steps.seek(place)
                    loads += steps.read().count(b'"attempt_ends"')
                    place = steps.tell()
            try:
                sampled.append((loads, resident_bytes(process.pid)))
            except (OSError, IndexError):  # it has ended
                break
        out, _ = process.communicate()
        took_s = time.monotonic() - began
    result = json.loads(out)
    (cell,) = result["cells"]
    warm = [size for loads, size in sampled if loads >= WARM * LOADS]
    print(
        f"\n{cell['trials']} loads in {took_s:.0f} s, {cell['verdict']}: {cell['outcomes']}; "
        f"memory {warm[0] >> 20} MiB after {WARM:.0%} of them, at most {max(warm) >> 20} MiB"
    )
    assert cell["verdict"] == "clean", cell["why"]
    assert cell["trials"] >= LOADS
    assert not cell["outcomes"].get("lost")
    assert max(warm) - warm[0] <= BYTES_A_LOAD * LOADS + SLACK, sampled
