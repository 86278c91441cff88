"""The direct test against a real /dev/kvm."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.vm.config import Accel
from tests.support.command import started
from tests.support.needs import not_applicable
from tests.support.processes import marked_processes, wait_until

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_no_timer_is_lost_and_the_control_is(
    losttick: Run, kvm: Accel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # built anew
    done = losttick("probe", "--trials", "2000", "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert data["verdict"] == "clean"
    (host,) = data["hosts"]
    counts = {series["tmcct_ns"]: series["trials"] for series in host["series"]}
    assert counts == dict.fromkeys((0, 1, 100, 1000, 10000, 100000), 2000) | {1_000_000: 1000}
    assert all(series["lost"] == 0 for series in host["series"])
    assert host["control"]["lost"] == host["control"]["trials"] == 5
    table = losttick("probe", "--trials", "100", "--tmcct", "7")
    assert "7 ns" in table.stdout
    assert "clean" in table.stdout
    few = losttick("probe", "--trials", "1")  # its series take less than their times' last digit
    assert few.returncode == 0, few.stderr
    assert "control" in few.stdout
    built = {path.name for path in (tmp_path / "cache" / "losttick" / "probe").iterdir()}
    assert len(built - {"lock"}) == 1


@pytest.mark.parametrize("mode", ["periodic", "tsc-deadline"])
def test_the_other_modes_lose_none_and_their_control_does(
    losttick: Run, kvm: Accel, mode: str
) -> None:
    """A periodic timer that is restored with TMCCT 0 has a whole period to go."""
    done = losttick("probe", "--mode", mode, "--trials", "100", "--json")
    assert done.returncode == 0, done.stderr
    (host,) = json.loads(done.stdout)["hosts"]
    assert all(series["lost"] == 0 for series in host["series"])
    assert host["control"]["lost"] == host["control"]["trials"] == 5
    by = {series["tmcct_ns"]: series["mean_ns"] for series in host["series"]}
    assert (by[0] >= 4_000_000) is (mode == "periodic")
    assert by[1_000_000] >= 1_000_000


def test_a_timer_is_waited_for_as_long_as_it_has_to_go(losttick: Run, kvm: Accel) -> None:
    """TMCCT is taken for what it is: a timer with 5 ms left takes 5 ms, and no whole period."""
    period_ns = 200_000_000  # far longer than a busy host keeps a thread waiting
    args = ("--trials", "20", "--tmcct", "0", "--tmcct", "5000000", "--period-us", "200000")
    now, later = json.loads(losttick("probe", *args, "--json").stdout)["hosts"][0]["series"]
    assert later["lost"] == 0
    assert 5_000_000 <= later["mean_ns"] < period_ns / 2
    assert now["mean_ns"] < later["mean_ns"] or now["mean_ns"] >= period_ns


def test_without_kvm_it_says_so(losttick: Run) -> None:
    if os.access("/dev/kvm", os.R_OK | os.W_OK):
        not_applicable("/dev/kvm can be opened here")
    done = losttick("probe", "--trials", "10")
    assert done.returncode == 3
    assert "skipped: running the direct test: /dev/kvm:" in done.stdout
    assert "losttick doctor" in done.stdout


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_ended_probe_leaves_no_process(
    kvm: Accel, how: signal.Signals, nothing_left_behind: str, tmp_path: Path
) -> None:
    with started("probe", "--trials", "50000000", cwd=tmp_path) as process:
        assert wait_until(
            lambda: any(
                "control" in line for line in marked_processes(nothing_left_behind).values()
            )
        )
        process.send_signal(how)
        process.communicate(timeout=20)
    assert process.returncode == (130 if how is signal.SIGINT else -how)
    assert wait_until(lambda: not marked_processes(nothing_left_behind), 10)


@pytest.mark.parametrize("as_json", [False, True])
def test_an_interrupted_probe_shows_what_it_has_counted(
    losttick: Run, kvm: Accel, tmp_path: Path, as_json: bool
) -> None:
    args = ["--trials", "50000000", "--tmcct", "1000000", "--tmcct", "0", "--out=out"]
    journal = tmp_path / "out" / "journal.jsonl"
    with started("probe", *args, *(["--json"] if as_json else []), cwd=tmp_path) as process:
        assert wait_until(lambda: journal.exists() and '"series"' in journal.read_text(), 60)
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    (counts,) = [line for line in errors.splitlines() if line.startswith("this host: 1000/")]
    assert " of 1000 lost at TMCCT 1000000 ns" in counts
    assert "journal so far: out/journal.jsonl; results so far: losttick show out\n" in errors
    assert not as_json or json.loads(said) == {"verdict": None, "error": "interrupted"}
    shown = losttick("show", "out")
    assert shown.returncode == 6
    assert "1000000 ns" in shown.stdout
    assert "a signal stopped it" in shown.stdout
