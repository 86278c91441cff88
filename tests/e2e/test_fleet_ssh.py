"""A fleet through real SSH servers on the loopback interface, with keys and an agent of its own."""

import asyncio
import contextlib
import os
import pwd
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

from orchestrator.fleet.executor import Seen, TaskState
from orchestrator.fleet.fleet_file import FleetFile
from orchestrator.fleet.folder import FleetFolder
from orchestrator.fleet.ssh.executor import SshExecutor
from orchestrator.fleet.task import tasks
from orchestrator.journal.fold import RunState, read_state
from orchestrator.results.exit_code import ExitCode
from tests.support.booting import DEFAULT, Booting, other_host
from tests.support.command import losttick_command
from tests.support.needs import Need, lacking
from tests.support.processes import wait_until
from tests.support.small_disk import SmallDisk, small_disk
from tests.support.ssh_hosts import LOSTTICK, SshFleet, SshHost, ssh_fleet

__all__ = ["small_disk", "ssh_fleet"]

Make = Callable[..., SshFleet]

PLAN = """
[axes]
accel = "tcg"
period_ms = "100"
[limits]
trials = {}
rule_out = 0.9
"""

#: Loads of a run that is disturbed.
LOADS = 30

QUICK, LONG = PLAN.format(5), PLAN.format(LOADS)


class Following:
    """An engine at work, and what it said."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []

    def last(self, task: str) -> Seen:
        return [each for each in self.seen if each.task == task][-1]

    def said(self, words: str) -> bool:
        return any(words in each.why for each in self.seen)

    async def follow(
        self, file: FleetFile, folder: FleetFolder, known: Mapping[str, Seen] | None = None,
        **options: object,
    ) -> "Following":  # fmt: skip
        engine = SshExecutor(file, folder.path.parent, **options)  # type: ignore[arg-type]
        async for each in engine.run(tasks(file), known or {}, folder):
            self.seen.append(each)
        return self


@contextlib.asynccontextmanager
async def at_work(
    file: FleetFile, folder: FleetFolder, **options: object
) -> AsyncIterator[tuple[Following, "asyncio.Task[Following]"]]:
    following = Following()
    task = asyncio.create_task(following.follow(file, folder, **options))  # type: ignore[arg-type]
    try:
        yield following, task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def trials_there(host: SshHost) -> int:
    """Return the loads of the run on a host so far."""
    found = list(host.home.glob(".cache/losttick/fleet/runs/*/*/run/journal.jsonl"))
    return sum(path.read_bytes().count(b'{"record":"trial"') for path in found)


async def until(condition: Callable[[], bool]) -> None:
    assert await asyncio.to_thread(wait_until, condition, 900)


def run_of(folder: FleetFolder, task: str) -> RunState:
    return read_state(folder.run(task) / "journal.jsonl")


def check_ended(following: Following, folder: FleetFolder, task: str, trials: int) -> None:
    """Check that a run was brought as a whole, and that no load of it was counted twice.

    On a busy computer a run may be inconclusive: that is the run's matter, and not the fleet's.
    """
    last = following.last(task)
    assert last.state is TaskState.ENDED, following.seen
    assert last.exit_code in (ExitCode.CLEAN, ExitCode.INCONCLUSIVE), last
    state = run_of(folder, task)
    assert state.finished
    assert sum(cell.trials for cell in state.cells.values()) == trials


@pytest.mark.timeout(1800)
async def test_a_host_is_tested_and_nothing_stays_there(ssh_fleet: Make) -> None:
    fleet = ssh_fleet("a")
    host, folder = fleet.hosts[0], fleet.folder(QUICK)
    following = await Following().follow(fleet.file(), folder)
    check_ended(following, folder, "a@booted", 5)
    assert following.seen[0].state is TaskState.RUNNING
    assert "5 trials" in folder.output("a@booted").read_text()
    assert not [path for path in host.home.rglob("*") if path.is_file()]
    # A later resume brings nothing again, and asks the host nothing.
    host.stop()
    again = await Following().follow(fleet.file(), folder)
    assert [each.state for each in again.seen] == [TaskState.ENDED]


@pytest.mark.thorough
@pytest.mark.timeout(1800)
async def test_two_hosts_have_the_verdict_of_a_plain_run(ssh_fleet: Make) -> None:
    fleet = ssh_fleet("a", "b")
    folder = fleet.folder(QUICK)
    plain = await asyncio.to_thread(
        subprocess.run,
        losttick_command("run", "--plan", str(folder.plan), "--out", str(fleet.path / "plain")),
        check=False, capture_output=True,
    )  # fmt: skip
    following = await Following().follow(fleet.file(), folder)
    expected = read_state(fleet.path / "plain" / "journal.jsonl")
    for task in ("a@booted", "b@booted"):
        check_ended(following, folder, task, 5)
        assert following.last(task).exit_code == plain.returncode
        assert run_of(folder, task).verdict == expected.verdict


@pytest.mark.thorough
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("fault", ["drop", "stop", "crash"])
async def test_a_run_goes_on_after(ssh_fleet: Make, fault: str) -> None:
    """The connections end; the server ends and is down for a while; the host loses its power."""
    fleet = ssh_fleet("a")
    host, folder = fleet.hosts[0], fleet.folder(LONG)
    async with at_work(fleet.file(), folder) as (following, work):
        await until(lambda: trials_there(host) > 5)
        before = host.runs()
        await asyncio.to_thread(getattr(host, fault))
        if fault != "drop":
            await asyncio.sleep(1)
            host.start()
        await work
    check_ended(following, folder, "a@booted", LOADS)
    assert following.said("it is tried again")
    assert before
    sessions = run_of(folder, "a@booted")
    assert bool(sessions.interrupted) is False


FOLLOW = """
import asyncio, sys
from pathlib import Path
from orchestrator.fleet.fleet_file import FleetFile
from orchestrator.fleet.folder import FleetFolder
from orchestrator.fleet.ssh.executor import SshExecutor
from orchestrator.fleet.task import tasks

async def main():
    folder, file = FleetFolder(Path(sys.argv[1])), FleetFile.model_validate_json(sys.argv[2])
    async for seen in SshExecutor(file, folder.path).run(tasks(file), {}, folder):
        print(seen.state, flush=True)

asyncio.run(main())
"""


@pytest.mark.thorough
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("ended", [False, True])
async def test_a_killed_fleet_is_resumed(ssh_fleet: Make, ended: bool) -> None:
    """The run goes on meanwhile, and may have ended."""
    fleet = ssh_fleet("a")
    host, folder, file = fleet.hosts[0], fleet.folder(LONG), fleet.file()
    words = [sys.executable, "-c", FOLLOW, str(folder.path), file.model_dump_json()]
    killed = await asyncio.create_subprocess_exec(*words)
    await until(lambda: trials_there(host) > 5)
    killed.kill()
    await killed.wait()
    before = host.runs()
    assert before, "the run ended with the fleet"
    if ended:
        await until(lambda: not host.runs())
    following = await Following().follow(file, folder)
    check_ended(following, folder, "a@booted", LOADS)
    assert len([each for each in following.seen if each.state is TaskState.WAITING]) == 0


async def end_of(fleet: SshFleet, **options: object) -> dict[str, Seen]:
    """Return what became of the hosts of a fleet, by name."""
    file = fleet.file(**options)
    following = await Following().follow(file, fleet.folder(QUICK))
    return {host.name: following.last(f"{host.name}@booted") for host in fleet.hosts}


@pytest.mark.thorough
async def test_each_trouble_of_a_host_is_named(ssh_fleet: Make, tmp_path: Path) -> None:
    fleet = ssh_fleet("changed", "unknown", "refused", "locked", "snakeless", "greets")
    changed, unknown, refused, locked, snakeless, greets = fleet.hosts
    changed.stop()
    changed.new_key()
    changed.start()
    refused.stop()
    (locked.path / "authorized_keys").write_text("")
    greets.home.joinpath(".bashrc").write_text("echo Welcome; echo losttick-fleet\n")
    fleet.known_hosts.write_text(fleet.known_hosts.read_text().replace(unknown.known, ""))
    for host in (snakeless, greets):
        host.program("python", "echo 'no \x1b[2Jmodule' >&2; exit 1")
    found = await end_of(fleet, ssh={"python": "python"})
    assert {each.state for each in found.values()} == {TaskState.FAILED}
    assert "its host key CHANGED" in found["changed"].why
    assert (
        f"ssh-keygen -f {fleet.known_hosts} -R '[127.0.0.1]:{changed.port}'" in found["changed"].why
    )
    assert "SHA256:" in found["changed"].why
    assert "its host key is not known: ssh-ed25519 SHA256:" in found["unknown"].why
    assert f"ssh -p {unknown.port}" in found["unknown"].why
    assert "no SSH server listens there" in found["refused"].why
    assert "accepts no key of yours" in found["locked"].why
    for name in ("snakeless", "greets"):
        assert found[name].why == f"python on {name} failed: no \\x1b[2Jmodule"
    assert all(each.why.isprintable() for each in found.values())
    missing = await end_of(fleet, ssh={"python": "python9"})
    assert "greets has no python9" in missing["greets"].why
    fleet.hosts = [greets]
    named = {"engine": "ssh", "hosts": [{"name": "nowhere", "address": "nowhere.invalid"}]}
    away = await Following().follow(FleetFile.model_validate(named), fleet.folder(QUICK))
    assert "the name is unknown" in away.last("nowhere@booted").why


KERNELS = {
    "old": {"release": "6.1.0-old", "boot_entry": "Debian, with 6.1.0-old"},
    "new": {"release": "6.9.0-new", "boot_entry": "Debian, with 6.9.0-new"},
}
ENTRIES = {
    DEFAULT: "6.0.0-default", "Debian, with 6.1.0-old": "6.1.0-old",
    "Debian, with 6.9.0-new": "6.9.0-new",
}  # fmt: skip


def computers(ssh_fleet: Make, tmp_path: Path, *names: str) -> tuple[SshFleet, list[Booting]]:
    """Make hosts that can be booted."""
    for name in names:
        fleet = ssh_fleet(name, env=other_host(tmp_path, tmp_path / name))
    return fleet, [Booting(host, ENTRIES) for host in fleet.hosts]


@pytest.mark.thorough
@pytest.mark.timeout(1800)
async def test_a_host_is_booted_into_each_kernel_and_back(ssh_fleet: Make, tmp_path: Path) -> None:
    fleet, (machine,) = computers(ssh_fleet, tmp_path, "a")
    folder, file = fleet.folder(QUICK), fleet.file(kernels=KERNELS)
    with machine.on():
        refused = await Following().follow(file, folder)
        for name in ("old", "new"):
            last = refused.last(f"a@{name}")
            assert last.state is TaskState.FAILED
            assert f"a runs 6.0.0-default, not {KERNELS[name]['release']}" in last.why
            assert "--allow-reboot" in last.why
        assert not machine.boots
        known = {each.task: each for each in refused.seen}
        following = await Following().follow(file, folder, known, allow_reboot=True)
    assert machine.boots == ["Debian, with 6.1.0-old", "Debian, with 6.9.0-new", DEFAULT]
    for name, kernel in KERNELS.items():
        check_ended(following, folder, f"a@{name}", 5)
        assert run_of(folder, f"a@{name}").facts.kernel == kernel["release"]
    assert following.last("a@new").why == ""
    assert (machine.host.path / "release").read_text() == "6.0.0-default"


@pytest.mark.thorough
@pytest.mark.timeout(1800)
async def test_a_host_that_boots_wrongly_is_named_and_the_others_go_on(
    ssh_fleet: Make, tmp_path: Path
) -> None:
    fleet, machines = computers(ssh_fleet, tmp_path, "gone", "panics", "refuses", "well")
    gone, panics, refuses, _ = machines
    gone.dead = True
    panics.entries = {DEFAULT: ENTRIES[DEFAULT]}
    refuses.host.program("grub-reboot", "echo 'grub-editenv: error: no \x1b room.' >&2; exit 1")
    folder = fleet.folder(QUICK)
    file = fleet.file(kernels={"old": KERNELS["old"]}, ssh={"boot_s": 12})
    with contextlib.ExitStack() as on:
        for machine in machines:
            on.enter_context(machine.on())
        following = await Following().follow(file, folder, allow_reboot=True)
    for name in ("gone", "panics", "refuses"):
        assert following.last(f"{name}@old").state is TaskState.FAILED
    assert "gone did not come back within 12 s" in following.last("gone@old").why
    assert "runs 6.0.0-default, not 6.1.0-old" in following.last("panics@old").why
    assert "no \\x1b room" in following.last("refuses@old").why
    assert not refuses.boots
    check_ended(following, folder, "well@old", 5)
    # It comes back later, and a resumed fleet goes on with it and boots it home.
    gone.dead = False
    gone.boot()
    known = {each.task: each for each in following.seen}
    again = Following()
    with Booting(gone.host, ENTRIES).on() as machine:
        fleet.hosts = [gone.host]
        file = fleet.file(kernels={"old": KERNELS["old"]})
        await again.follow(file, folder, known, allow_reboot=True)
    check_ended(again, folder, "gone@old", 5)
    assert machine.boots == ["Debian, with 6.1.0-old", DEFAULT]


@pytest.mark.thorough
@pytest.mark.timeout(1800)
async def test_two_fleets_on_a_host_wait_for_each_other(ssh_fleet: Make) -> None:
    fleet = ssh_fleet("a")
    file = fleet.file()
    folders = [fleet.folder(QUICK, name) for name in ("one", "two")]
    both = await asyncio.gather(*(Following().follow(file, folder) for folder in folders))
    for following, folder in zip(both, folders, strict=True):
        check_ended(following, folder, "a@booted", 5)
    assert any(each.said("another run has the host") for each in both)


@pytest.mark.thorough
@pytest.mark.timeout(1800)
async def test_a_run_is_cancelled_and_resumed(ssh_fleet: Make) -> None:
    fleet = ssh_fleet("a")
    host, folder, file = fleet.hosts[0], fleet.folder(LONG), fleet.file()
    engine = SshExecutor(file, fleet.path)
    async with at_work(file, folder) as (following, work):
        await until(lambda: trials_there(host) > 3)
        known = {each.task: each for each in following.seen}
        (looked,) = await engine.look(tasks(file), known, folder)
        assert looked.state is TaskState.RUNNING
        (cancelled,) = await engine.cancel(tasks(file), known, folder)
        assert cancelled.state is TaskState.CANCELLED
        await work
    assert following.last("a@booted").state is TaskState.CANCELLED
    assert not host.runs()
    assert 0 < sum(c.trials for c in run_of(folder, "a@booted").cells.values()) < LOADS
    again = await Following().follow(file, folder, {"a@booted": cancelled})
    check_ended(again, folder, "a@booted", LOADS)
    (looked,) = await engine.look(tasks(file), {"a@booted": cancelled}, folder)
    assert looked.state is TaskState.ENDED


@pytest.mark.thorough
@pytest.mark.timeout(1800)
async def test_a_full_disk_there_is_named_and_the_fleet_resumes(
    ssh_fleet: Make, small_disk: Callable[[int], SmallDisk]
) -> None:
    fleet = ssh_fleet("a")
    disk = small_disk(4096)
    ballast = disk.fill()
    folder, file = fleet.folder(QUICK), fleet.file(ssh={"folder": str(disk.path)})
    full = await Following().follow(file, folder)
    last = full.last("a@booted")
    assert last.state is TaskState.FAILED
    assert "No space left on device" in last.why, last
    ballast.unlink()
    following = await Following().follow(file, folder, {last.task: last})
    check_ended(following, folder, "a@booted", 5)


@pytest.mark.thorough
async def test_a_user_without_rights_is_told_what_is_lacking(ssh_fleet: Make) -> None:
    fleet = ssh_fleet("a")
    for folder in ("/proc/losttick", "/dev/null/losttick"):
        found = await end_of(fleet, ssh={"folder": folder})
        assert found["a"].state is TaskState.FAILED
        assert folder.rpartition("/")[0] in found["a"].why


def another_account() -> str:
    """Return a user of this computer, other than root, who can log in."""
    shells = ("/bin/bash", "/bin/sh", "/bin/dash")
    names = [each.pw_name for each in pwd.getpwall() if each.pw_uid and each.pw_shell in shells]
    if os.geteuid() != 0 or not names:
        lacking(Need.ROOT, "root, and another user who can log in")
    return names[-1]


@pytest.mark.thorough
async def test_a_user_who_may_not_boot_the_host_is_told_so(ssh_fleet: Make) -> None:
    user = another_account()
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        fleet = ssh_fleet("a", place=Path(place), user=user)
        (host,) = fleet.hosts
        host.program("sudo", "echo 'sudo: a password is required' >&2; exit 1")
        assert host.which("sudo") == str(host.bin / "sudo")  # never that of this computer
        ssh = {"user": user, "python": "/usr/bin/python3"}
        file = fleet.file(kernels={"old": KERNELS["old"]}, ssh=ssh)
        following = await Following().follow(file, fleet.folder(QUICK), allow_reboot=True)
        last = following.last("a@old")
        assert last.state is TaskState.FAILED
        assert "sudo: a password is required" in last.why
        assert "sudo without a password for grub-reboot and reboot" in last.why
        found = await end_of(fleet, ssh={**ssh, "folder": "/root/losttick"})
        assert found["a"].why.startswith("Permission denied (/root/losttick/runs")


def wheel(folder: Path, script: str, version: str = "1") -> None:
    """Make the wheel of a losttick that is a shell script."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.whl"):
        old.unlink()
    at = f"losttick-{version}"
    with zipfile.ZipFile(folder / f"{at}-py3-none-any.whl", "w") as file:
        program = zipfile.ZipInfo(f"{at}.data/scripts/losttick")
        program.external_attr = 0o100755 << 16
        file.writestr(program, f"#!/bin/sh\n{script}\n")
        file.writestr(f"{at}.dist-info/METADATA", f"Name: losttick\nVersion: {version}\n")
        tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        file.writestr(f"{at}.dist-info/WHEEL", tags)
        file.writestr(f"{at}.dist-info/RECORD", "")


@pytest.mark.thorough
@pytest.mark.timeout(1800)
async def test_losttick_is_installed_once_from_wheels(ssh_fleet: Make, tmp_path: Path) -> None:
    fleet = ssh_fleet("a")
    host, wheels = fleet.hosts[0], tmp_path / "wheels"
    wheel(wheels, LOSTTICK)
    (host.bin / "losttick").unlink()
    file = fleet.file(ssh={"wheels": str(wheels)})
    folders = [fleet.folder(QUICK, name) for name in ("one", "two")]
    both = await asyncio.gather(*(Following().follow(file, folder) for folder in folders))
    for following, folder in zip(both, folders, strict=True):
        check_ended(following, folder, "a@booted", 5)
    there = host.home / ".cache/losttick/fleet"
    assert len(list(there.glob("venv/*/losttick-is-whole"))) == 1
    made = {path: path.stat().st_mtime_ns for path in there.rglob("*.whl")}
    assert len(made) == 1
    await Following().follow(file, fleet.folder(QUICK, "three"))
    assert {path: path.stat().st_mtime_ns for path in there.rglob("*.whl")} == made
    # Another losttick goes beside it. An install that was killed is made anew.
    wheel(wheels, "echo 'no \x1b[2J such plan' >&2; exit 2", "2")
    failed = await Following().follow(file, fleet.folder(QUICK, "four"))
    assert failed.last("a@booted").why == "exit code 2: no \\x1b[2J such plan"
    assert len(list(there.glob("venv/*/losttick-is-whole"))) == 2
    for path in there.glob("venv/*/losttick-is-whole"):
        path.unlink()
    wheel(wheels, LOSTTICK)
    following = await Following().follow(file, fleet.folder(QUICK, "five"))
    check_ended(following, FleetFolder(fleet.path / "five"), "a@booted", 5)


@pytest.mark.thorough
@pytest.mark.timeout(1800)
async def test_what_a_host_puts_into_a_run_does_no_harm(ssh_fleet: Make) -> None:
    """Links and devices stay there, and a name that leads elsewhere ends the task."""
    fleet = ssh_fleet("a")
    host, folder = fleet.hosts[0], fleet.folder(QUICK)
    host.program(
        "losttick",
        'while [ "$1" != --out ]; do shift; done; mkdir -p "$2/console"; cd "$2"\n'
        "ln -s /etc/passwd link; ln -s /etc folder; mkfifo fifo; echo text > console/plain\n"
        "echo 'the \x1b[2J end'; exit 4",
    )
    found = await end_of(fleet)
    assert found["a"].why == "exit code 4: the \\x1b[2J end"
    run = folder.run("a@booted")
    assert [str(path.relative_to(run)) for path in run.rglob("*")] == ["console", "console/plain"]
    assert (run / "console" / "plain").read_text() == "text\n"
    assert "\x1b" not in folder.output("a@booted").read_text()
    host.program(
        "losttick",
        'while [ "$1" != --out ]; do shift; done; mkdir -p "$2"; touch "$2/$(printf "\\033")"',
    )
    (odd,) = (await end_of(fleet, ssh={"folder": "odd"})).values()
    assert odd.state is TaskState.FAILED
    assert "answered what was not asked" in odd.why


def test_asyncssh_is_imported_by_nothing_else() -> None:
    look = (
        "import sys, orchestrator.cli.run, orchestrator.fleet.ssh.executor\n"
        "print('asyncssh' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", look], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
