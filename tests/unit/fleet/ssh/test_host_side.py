"""The program for hosts, run on this computer: no SSH is needed to start and follow a job."""

import inspect
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.fleet.ssh import host_side, watch
from orchestrator.fleet.ssh.reply import Facts, Files, Installed, JobState, parse
from orchestrator.host import sole_run
from tests.support.processes import wait_until

#: Stands for the name that a run holds: runs of other tests must not be in the way.
HELD = f"losttick/test-{os.getpid()}"

SOURCE = inspect.getsource(host_side).replace(sole_run.NAME, HELD)


def ask(verb: str, **words: Any) -> list[Any]:
    done = subprocess.run(
        [sys.executable, "-I", "-", json.dumps({"verb": verb, **words})],
        input=SOURCE, capture_output=True, text=True, check=False,
    )  # fmt: skip
    mark = host_side.MARK
    answers = [line.removeprefix(mark) for line in done.stdout.splitlines() if mark in line]
    assert answers, done.stderr
    return [json.loads(each) for each in answers]


def state(answer: Any) -> JobState:
    return parse(json.dumps(answer).encode(), JobState)


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "runs" / "fleet" / "a@booted"
    ask("make", job=str(place))
    yield place
    ask("cancel", job=str(place), within_s=10)


def start(job: Path, script: str) -> JobState:
    source = inspect.getsource(watch)
    return state(ask("start", job=str(job), command=["sh", "-c", script], source=source)[-1])


def ended(job: Path) -> JobState:
    return state(ask("follow", job=str(job), every_s=60)[-1])


def test_it_tells_what_the_host_is(tmp_path: Path) -> None:
    facts = parse(json.dumps(ask("facts", folder="below/home")[0]).encode(), Facts)
    assert facts.release == os.uname().release
    assert facts.folder == str(Path.home() / "below/home")
    other = ask("facts", folder=str(tmp_path))[0]["folder"]
    assert other == str(tmp_path)


def test_a_job_is_started_once_and_its_end_is_kept(job: Path) -> None:
    begun = start(job, "echo words; read x; exec sleep 600")  # its standard input is empty
    assert begun.running
    assert begun.begun
    again = start(job, "exit 9")
    assert again.begun == begun.begun
    os.kill(begun.begun.pid, signal.SIGKILL)
    over = ended(job)
    assert not over.running
    assert over.ended
    assert over.ended.code == -signal.SIGKILL
    assert over.last_words == "words"
    assert start(job, "exit 3").begun != begun.begun
    after = ended(job)
    assert after.ended
    assert after.ended.code == 3


def test_a_job_runs_for_as_long_as_its_losttick_lives(job: Path) -> None:
    begun = start(job, "exec sleep 600").begun
    assert begun
    os.kill(begun.watcher, signal.SIGKILL)
    assert state(ask("state", job=str(job))[0]).running
    os.kill(begun.pid, signal.SIGKILL)
    over = ended(job)
    assert over.begun
    assert over.ended is None  # nobody saw how


def test_a_cancelled_job_ends_as_by_sigterm(job: Path) -> None:
    start(job, "trap 'echo bye; exit 130' TERM; echo ready; while :; do sleep 0.05; done")
    assert wait_until(lambda: "ready" in (job / "output.txt").read_text())
    over = state(ask("cancel", job=str(job), within_s=20)[0])
    assert (over.running, over.cancelled, over.last_words) == (False, True, "bye")
    assert over.ended
    assert over.ended.code == 130
    assert not start(job, "exit 0").cancelled


def test_a_job_that_has_not_begun_can_be_cancelled(job: Path) -> None:
    assert state(ask("cancel", job=str(job), within_s=1)[0]).cancelled


def test_a_command_that_is_not_there_is_named(job: Path) -> None:
    source = inspect.getsource(watch)
    ask("start", job=str(job), command=["/no/losttick"], source=source)
    over = ended(job)
    assert over.ended
    assert (over.ended.code, over.ended.why) == (127, "/no/losttick: No such file or directory")


def test_loads_are_counted_as_they_come(job: Path) -> None:
    (job / "run").mkdir()
    journal = job / "run" / "journal.jsonl"
    journal.write_text('{"record":"plan"}\n{"record":"trial"}\n{"record":"trial"}\n{"record":"tri')
    start(job, "sleep 1")
    *told, _ = ask("follow", job=str(job), every_s=0.2)
    assert told[0] == {"trials": 2}


def test_files_are_listed_and_links_are_not_followed(job: Path) -> None:
    run = job / "run"
    (run / "evidence").mkdir(parents=True)
    (run / "evidence" / "why.txt").write_text("why")
    (run / "link").symlink_to("/etc/passwd")
    (run / "folder").symlink_to("/etc")
    os.mkfifo(run / "fifo")
    *files, last = ask("manifest", job=str(job))
    assert [each["path"] for each in files] == ["evidence/why.txt"]
    assert parse(json.dumps(last).encode(), Files) == Files(files=1, odd=3)
    assert ask("remove", job=str(job)) == [{"removed": True}]
    assert not job.parent.exists()
    assert Path("/etc/passwd").exists()


def test_wheels_that_are_lacking_are_asked_for(tmp_path: Path) -> None:
    wheels, folder = [["a-1.whl", "a" * 64]], str(tmp_path)
    lacking = ask("install", folder=folder, wheels=wheels, part=".1.part")
    assert parse(json.dumps(lacking[0]).encode(), Installed).missing == ["a" * 64]
    brought = tmp_path / "wheels" / ("a" * 64) / "a-1.whl.1.part"
    brought.write_text("damaged")
    assert ask("install", folder=folder, wheels=wheels, part=".1.part") == lacking
    assert not brought.exists()


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Programs that note how they were called, so that this computer is never booted."""
    place = tmp_path / "bin"
    place.mkdir()

    def put(name: str, script: str) -> None:
        (place / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/called\n{script}\n')
        (place / name).chmod(0o755)

    for name in ("grub-reboot", "grub-editenv", "reboot"):
        put(name, "")
    put("sudo", 'shift; exec "$@"')
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    for each in place.iterdir():
        assert shutil.which(each.name) == str(each)
    return put


def boot() -> Any:
    return ask("boot", entry="Debian>6.1 'x'; $(y)")[0]


def called(place: Path) -> list[str]:
    lines = (place / "called").read_text().splitlines()
    return [line for line in lines if not line.startswith("sudo")]


@pytest.mark.usefixtures("programs")
def test_an_entry_is_chosen_for_one_boot(tmp_path: Path) -> None:
    assert boot() == {"boots": True}
    assert called(tmp_path) == ["grub-reboot Debian>6.1 'x'; $(y)", "reboot "]


def test_an_entry_is_not_left_behind(tmp_path: Path, programs: Callable[[str, str], None]) -> None:
    programs("reboot", "echo 'Error: not now' >&2; exit 1")
    assert "not now" in boot()["error"]
    assert called(tmp_path)[-1] == "grub-editenv - unset next_entry"


@pytest.mark.usefixtures("programs")
def test_a_host_with_a_run_is_not_booted() -> None:
    assert sole_run.NAME == host_side.SOLE_RUN
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as run:
        run.bind(f"\0{HELD}")
        assert boot()["busy"]


def test_an_error_is_an_answer() -> None:
    (answer,) = ask("make", job="/dev/null/x")
    assert answer == {"error": "Not a directory (/dev/null/x)"}


def test_a_host_is_waited_for_until_no_run_has_it() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as run:
        run.bind(f"\0{HELD}")
        assert ask("free", within_s=0.1) == [{"free": False}]
    assert ask("free", within_s=5) == [{"free": True}]
