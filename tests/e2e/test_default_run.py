"""A default run measures the timer period, and names it everywhere."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.plan.period import AUTO_PERIODS_NS
from orchestrator.vm.config import Accel
from tests.support.journal import journal_dicts

pytestmark = pytest.mark.alone

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_a_default_run(losttick: Run, tmp_path: Path, best_accel: Accel) -> None:
    done = losttick("run", "--trials", "30", "--rule-out", "0.1", "--out", "out", "--json")
    assert done.returncode == 0, done.stderr
    (cell,) = json.loads(done.stdout)["cells"]
    assert cell["verdict"] == "clean", cell["why"]
    assert cell["id"] == f"{best_accel}/one-shot/xapic/hmp/auto/25loads"
    assert cell["trials"] >= 30  # a busy host gets more, in pairs with shams
    assert [control["seen"] for control in cell["controls"]] == [True, True]
    records = journal_dicts(tmp_path / "out" / "journal.jsonl")
    (chosen,) = [each for each in records if each["record"] == "period"]
    period_ns = chosen["period_ns"]
    assert period_ns in AUTO_PERIODS_NS
    assert cell["period_ms"] == period_ns / 1e6
    tried = [each["period_ns"] for each in chosen["tried"]]
    assert tried == list(AUTO_PERIODS_NS[: len(tried)])
    assert period_ns == tried[-1] or period_ns == AUTO_PERIODS_NS[-1]
    # Every QEMU of the cell was told this period: the third field of its record.
    told = [" ".join(each["argv"]) for each in records if each["record"] == "instance"]
    assert len(told) >= 3
    assert all(text.split("string=LTK1")[1][16:24] == f"{period_ns:08x}" for text in told)
    saves = [each for each in records if each["record"] == "save" and each["role"] == "host"]
    expired = [each["expired"] for each in saves if each["eligible"]]
    assert (cell["saves"], cell["expired_saves"]) == (len(expired), sum(expired))
    words = f"the timer period is {period_ns / 1e6:g} ms"
    assert words in done.stderr
    assert words in " ".join(losttick("show", "out").stdout.split())
