"""The folders of a run: of any name, full, taken, or watched by a service manager."""

import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.journal.fold import read_state
from tests.support.command import losttick_command, started
from tests.support.needs import Need, lacking
from tests.support.processes import wait_until
from tests.support.steps import steps

Run = Callable[..., "subprocess.CompletedProcess[str]"]

#: Characters that a folder's name may have, and that a command line, an option of QEMU or a line
#: must not have.
ODD = "a b,c=d,,'\"\n%s$HOME\\\udcff"

LONG = ("run", "--accel", "tcg", "--period", "10", "--trials", "100000", "--out", "out")


def test_folders_of_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Path(os.environ["XDG_RUNTIME_DIR"], ODD)
    temporary = tmp_path / ODD / ("x" * 200)
    runtime.mkdir()
    temporary.mkdir(parents=True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("TMPDIR", str(temporary))
    out = tmp_path / f"out {ODD}"
    done = subprocess.run(
        losttick_command(
            "run", "--accel", "tcg", "--period", "10", "--trials", "2", "--rule-out", "0.9",
            "--json", "--out", str(out),
        ),
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["journal"] == str(out / "journal.jsonl")
    assert list(temporary.iterdir()) == []
    runtime.rmdir()  # it is empty


def test_nobody_else_can_change_what_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither results nor, in the cache, what losttick will run again."""
    if shutil.which("gcc") is None and shutil.which("cc") is None:
        lacking(Need.COMPILER, "apt-get install gcc libc6-dev")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    command = losttick_command("probe", "--trials", "1", "--out", "out")  # needs no working KVM
    subprocess.run(
        ["sh", "-c", 'umask 000; exec "$@"', "sh", *command], cwd=tmp_path, check=False,
        capture_output=True, timeout=60,
    )  # fmt: skip
    made = [path for path in tmp_path.rglob("*") if not path.is_symlink()]
    assert any(path.name == "probe" for path in made), "it was built"
    loose = [path for path in made if path.stat().st_mode & stat.S_IWOTH]
    assert loose == []


def test_a_second_run_in_one_folder(tmp_path: Path, losttick: Run) -> None:
    with steps(tmp_path / "events") as events, started(
        *LONG, "--events", "events", cwd=tmp_path
    ) as first:  # fmt: skip
        events.wait_for("run_begins")
        second = losttick("run", "--accel", "tcg", "--out", "out")
        assert second.returncode == 2
        assert "another losttick process is running there" in second.stderr
        assert "--resume" not in second.stderr
        first.send_signal(signal.SIGINT)
        assert first.wait(timeout=20) == 130
    third = losttick("run", "--accel", "tcg", "--out", "out")
    assert third.returncode == 2
    assert "it is not empty" in third.stderr


def test_a_service_manager_hears_when_the_run_is_ready_and_ends(tmp_path: Path) -> None:
    with contextlib.ExitStack() as ending:
        manager = ending.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        env = os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "500000"}
        run = ending.enter_context(started(*LONG, cwd=tmp_path, env=env))
        heard: list[str] = []

        def hear(word: str) -> None:
            while not any(word in message for message in heard):
                heard.append(manager.recv(65536).decode())

        hear(" of 100000 trials")
        assert heard[0] == "READY=1\nSTATUS=starting"
        hear("WATCHDOG=1")
        run.send_signal(signal.SIGTERM)
        hear("STOPPING=1")
        assert run.wait(timeout=5) == 130
    assert read_state(tmp_path / "out" / "journal.jsonl").verdict is None


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("kib", "words"), [(150, "No space left on device"), (400, "no space left for QEMU's files")]
)
def test_no_room_for_the_files_of_qemu(tmp_path: Path, kib: int, words: str) -> None:
    """First for its empty disk, then for what is saved on it."""
    if os.geteuid() != 0:
        lacking(Need.ROOT, "only root can mount over /dev/shm")
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode != 0:
        lacking(Need.NAMESPACES, "unshare --mount fails")
    (small := tmp_path / "small").mkdir()
    script = (
        "mount -t tmpfs -o size=64k none /dev/shm\n"
        f'mount -t tmpfs -o size={kib}k none "$1"\nexport TMPDIR="$1"\nshift\nexec "$@"'
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-ec", script, "sh", str(small),
         *losttick_command("run", "--accel", "tcg", "--period", "20", "--trials", "2")],
        cwd=tmp_path, capture_output=True, text=True, timeout=110, check=False,
        env={name: value for name, value in os.environ.items() if name != "XDG_RUNTIME_DIR"},
    )  # fmt: skip
    assert done.returncode == 6, done.stderr  # a later try may do
    assert words in " ".join(done.stdout.split())
    assert "Traceback" not in done.stderr
    assert not wait_until(lambda: any(small.iterdir()), 0)
