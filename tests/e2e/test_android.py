"""`losttick android` against a stand-in for the emulator, with a real QEMU in it."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.android.console import Times
from orchestrator.android.emulator import Wanted
from orchestrator.android.errors import (
    CannotSaveError,
    ConsoleTimeoutError,
    EmulatorDiedError,
    EmulatorStartError,
    NotBootedError,
    RefusedError,
    WrongTokenError,
)
from orchestrator.android.findings import Findings, Guest, Likeness
from orchestrator.android.running import the_running
from orchestrator.android.sdk import Sdk
from orchestrator.android.session import Aims, examine_running, examine_started
from orchestrator.host.facts import HostFacts
from orchestrator.host.local_facts import read_facts
from orchestrator.host.qemu_binary import DEFAULT_QEMU
from orchestrator.packages.apt import PackagesError
from orchestrator.packages.trees import unpack
from orchestrator.vm.config import Accel
from tests.support.android.emulator import Behaviour
from tests.support.android.install import install
from tests.support.command import started
from tests.support.needs import Need, lacking, not_applicable
from tests.support.processes import marked_processes, wait_until
from tests.support.shim import shim_environment

AIMS = Aims(loads=2, alive_s=2, boot_s=30)

TIMES = Times(command_s=10, state_s=20)


@pytest.fixture
def use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Behaviour]:
    """Install a stand-in with some behaviour, as the SDK of the user."""

    def install_it(**behaviour: object) -> Behaviour:
        made = Behaviour(log=str(tmp_path / "log"), **behaviour)  # type: ignore[arg-type]  # fields
        for name, value in install(tmp_path, made).items():
            monkeypatch.setenv(name, value)
        return made

    return install_it


async def phone_examined(aims: Aims = AIMS, *args: str, times: Times = TIMES) -> Findings:
    sdk = Sdk.of_user()
    wanted = Wanted(sdk.find("emulator"), "phone", args)
    return await examine_started(wanted, sdk.find("adb"), aims, times, print)


def commands(place: Path) -> list[str]:
    return (place / "log").read_text().splitlines()


def own_snapshot_deleted(place: Path) -> bool:
    """Return whether the last thing that happened to a snapshot was the removal of losttick's."""
    log = (place / "log").read_text()
    done = re.findall(r"avd snapshot (\w+) (\S+) -> OK", log)
    return bool(done) and done[-1][0] == "delete" and {tag for _, tag in done} == {done[-1][1]}


async def test_an_emulator_that_runs_on(use: Callable[..., Behaviour], tmp_path: Path) -> None:
    use(token="s3cret")
    found = await phone_examined()
    assert [load.guest for load in found.loads] == [Guest.RAN, Guest.RAN]
    assert found.timers == ("one-shot",)
    assert found.freeze is None
    assert not found.hidden
    assert found.trouble == ""
    assert own_snapshot_deleted(tmp_path)
    assert not any("default_boot" in each for each in commands(tmp_path))
    assert commands(tmp_path)[-1] == "kill", "it ends in order, and is not killed"
    assert (tmp_path / "avds" / "adb-killed").exists(), "the server that adb began is ended"


@pytest.fixture
def taken_for_intel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take this computer for one on which the bug could strike."""

    def facts(*args: object) -> HostFacts:
        found = read_facts(None, None)
        modules = {**found.kvm_modules, "kvm_intel": {"enable_apicv": "Y"}}
        return replace(found, kvm_modules=modules)

    monkeypatch.setattr("orchestrator.android.judge.read_facts", facts)


@pytest.mark.usefixtures("taken_for_intel")
@pytest.mark.parametrize(
    ("fault", "likeness"),
    [
        ("unstarted", Likeness.BY_BUG),
        pytest.param("mask", Likeness.OTHERWISE, marks=pytest.mark.thorough),
    ],
)
async def test_a_frozen_guest_is_found_and_named(
    use: Callable[..., Behaviour],
    tmp_path: Path,
    shim: Path,
    kvm: Accel,
    fault: str,
    likeness: Likeness,
) -> None:
    """A real KVM loses the timer after the load, or restores it masked."""
    use(accel=kvm, environment=shim_environment(shim, tmp_path / "shim.log", fault))
    found = await phone_examined()
    assert [(load.number, load.guest) for load in found.loads] == [(1, Guest.FROZE)]
    assert found.freeze is not None
    print(found.freeze.why)
    assert found.freeze.likeness is likeness, found.freeze.why
    assert own_snapshot_deleted(tmp_path)


@pytest.mark.thorough
@pytest.mark.usefixtures("taken_for_intel")
async def test_a_frozen_guest_is_named_without_counters_of_kvm(
    use: Callable[..., Behaviour],
    tmp_path: Path,
    shim: Path,
    kvm: Accel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The emulator's QEMU 2.12 has no `query-stats`, and only root reads KVM's debugfs."""

    async def no_counters(monitor: object, paths: Sequence[str]) -> Sequence[None]:
        return [None] * len(paths)

    monkeypatch.setattr("orchestrator.look.gather.read_counters", no_counters)
    monkeypatch.setattr("orchestrator.look.gather.read_debugfs", lambda pid: None)
    use(accel=kvm, environment=shim_environment(shim, tmp_path / "shim.log", "unstarted"))
    found = await phone_examined()
    assert found.last is Guest.FROZE
    assert found.freeze is not None
    assert found.freeze.likeness is Likeness.BY_BUG, found.freeze.why


@pytest.mark.thorough
async def test_an_old_qemu(use: Callable[..., Behaviour]) -> None:
    """QEMU 5.2, the oldest that can be had, stands in for the emulator's 2.12."""
    try:
        tree = unpack("bullseye", ["qemu-system-x86"])
    except PackagesError as error:
        lacking(Need.PACKAGES, f"the QEMU of Debian bullseye: {error}")
    binary, prefix = tree.command("usr/bin/qemu-system-x86_64")
    use(qemu=[*prefix, binary])
    found = await phone_examined()
    assert found.qemu.startswith("5.2")
    assert found.timers == ("one-shot",)
    assert [load.guest for load in found.loads] == [Guest.RAN, Guest.RAN]


@pytest.mark.thorough
async def test_on_a_host_without_apicv_no_freeze_is_like_the_bug(
    use: Callable[..., Behaviour], tmp_path: Path, shim: Path, kvm: Accel
) -> None:
    if "kvm_intel" in read_facts(None, None).kvm_modules:
        not_applicable("this host may have APICv")
    use(accel=kvm, environment=shim_environment(shim, tmp_path / "shim.log", "unstarted"))
    found = await phone_examined()
    assert found.freeze is not None
    assert found.freeze.likeness is Likeness.OTHERWISE
    assert "no APICv" in found.freeze.why


@pytest.mark.thorough
async def test_a_silent_heartbeat_is_no_frozen_guest(use: Callable[..., Behaviour]) -> None:
    use(silent_after=1)
    found = await phone_examined()
    assert [load.guest for load in found.loads] == [Guest.RAN, Guest.RAN]
    assert [load.watched.uptime_rose for load in found.loads] == [True, True]


@pytest.mark.thorough
@pytest.mark.usefixtures("taken_for_intel")
async def test_silence_on_living_processors_is_not_the_bug(
    use: Callable[..., Behaviour], kvm: Accel
) -> None:
    """Android's heartbeat and adb are dead, and its processors tick on."""
    use(accel=kvm, silent_after=1, deaf_after=1)
    found = await phone_examined()
    assert found.last is Guest.FROZE
    assert found.freeze is not None
    assert found.freeze.likeness is Likeness.ALIVE, found.freeze.why


@pytest.mark.thorough
async def test_an_android_that_does_not_boot(use: Callable[..., Behaviour]) -> None:
    use(boot_s=-1)
    with pytest.raises(NotBootedError, match=r"sys\.boot_completed"):
        await phone_examined(replace(AIMS, boot_s=6))


def thorough(*values: object) -> object:
    return pytest.param(*values, marks=pytest.mark.thorough)


@pytest.mark.parametrize(
    ("behaviour", "error", "words"),
    [
        ({"token": "right"}, WrongTokenError, "refuses the token"),
        ({"refuse": {"save": "no space|on the disk"}}, CannotSaveError, "no space on the disk"),
        thorough({"refuse": {"load": "bad snapshot"}}, RefusedError, "bad snapshot"),
        ({"dies_at": "start"}, EmulatorStartError, r"Cannot find AVD system path\.\\x1b\[31m"),
        thorough({"dies_at": "boot"}, EmulatorStartError, r"before Android had booted.*134"),
        ({"dies_at": "load"}, EmulatorDiedError, "the emulator ended"),
        thorough({"hangs_at": "load"}, ConsoleTimeoutError, "no answer in 2 s"),
    ],
    ids=lambda each: next(iter(each)) + str(next(iter(each.values()))) if isinstance(each, dict)
    else None,
)  # fmt: skip
async def test_each_trouble_is_told(
    use: Callable[..., Behaviour],
    tmp_path: Path,
    behaviour: dict[str, object],
    error: type[Exception],
    words: str,
) -> None:
    use(**behaviour)
    if "token" in behaviour:
        (tmp_path / "home" / ".emulator_console_auth_token").write_text("wrong")
    with pytest.raises(error, match=words):
        await phone_examined(times=replace(TIMES, state_s=2) if "hangs_at" in behaviour else TIMES)


@pytest.mark.thorough
async def test_a_read_only_emulator_can_t_be_tested(use: Callable[..., Behaviour]) -> None:
    use()
    with pytest.raises(CannotSaveError, match="Start it without -read-only"):
        await phone_examined(AIMS, "-read-only")


@pytest.mark.thorough
async def test_a_guest_that_the_emulator_keeps_stopped_is_not_frozen(
    use: Callable[..., Behaviour],
) -> None:
    use(stays_stopped=True)
    found = await phone_examined()
    assert found.last is Guest.STOPPED


@pytest.mark.thorough
async def test_a_snapshot_that_can_t_be_deleted_is_named(use: Callable[..., Behaviour]) -> None:
    use(refuse={"delete": "in use"})
    found = await phone_examined(replace(AIMS, loads=1))
    assert re.search(r"losttick-\w{8} is still there.*in use", found.trouble)


@pytest.mark.thorough
async def test_a_timer_that_hides_the_bug_is_seen(
    use: Callable[..., Behaviour], kvm: Accel
) -> None:
    use(accel=kvm, mode="tsc-deadline")
    found = await phone_examined(replace(AIMS, loads=1))
    assert found.timers == ("tsc-deadline",)
    assert found.hidden


@contextlib.contextmanager
def emulator_of_somebody_else(place: Path) -> Iterator[int]:
    """Start the stand-in as a user would, with a monitor; give its console's port."""
    folder = place / "theirs"
    folder.mkdir()
    process = subprocess.Popen(
        [Sdk.of_user().find("emulator"), "-avd", "phone", "-no-window", "-ports", "5600,5601",
         "-qemu", "-qmp", "unix:monitor,server,nowait"],
        cwd=folder,
    )  # fmt: skip
    try:
        assert wait_until(lambda: any((place / "avds").glob("running/*.ini")), 20)
        yield 5600
        assert process.poll() is None, "it must live on"
    finally:
        process.terminate()
        process.wait(20)
        for file in (place / "avds").glob("running/*.ini"):
            file.unlink()


async def test_a_running_emulator_is_looked_at_and_left_alone(
    use: Callable[..., Behaviour], tmp_path: Path
) -> None:
    use()
    sdk = Sdk.of_user()
    with emulator_of_somebody_else(tmp_path) as port:
        found = the_running(sdk)
        assert (found.port, found.avd) == (port, "phone")
        seen = await examine_running(found, sdk.find("adb"), replace(AIMS, loads=0), TIMES, print)
        assert [(load.number, load.guest) for load in seen.loads] == [(0, Guest.RAN)]
        assert seen.timers == ("one-shot",)
        assert not any("snapshot" in each for each in commands(tmp_path))

        seen = await examine_running(found, None, replace(AIMS, loads=1), TIMES, print)
        assert [(load.number, load.guest) for load in seen.loads] == [
            (0, Guest.RAN), (1, Guest.RAN),
        ]  # fmt: skip
        assert own_snapshot_deleted(tmp_path)
        assert "kill" not in commands(tmp_path)


@pytest.mark.parametrize(
    ("attach", "number"),
    [
        (False, signal.SIGKILL),
        pytest.param(False, signal.SIGINT, marks=pytest.mark.thorough),
        (True, signal.SIGKILL),
        pytest.param(True, signal.SIGINT, marks=pytest.mark.thorough),
    ],
)
def test_a_signal_leaves_neither_snapshot_nor_emulator(
    use: Callable[..., Behaviour], tmp_path: Path, number: signal.Signals, attach: bool
) -> None:
    use(silent_after=0, deaf_after=0 if attach else None)
    with emulator_of_somebody_else(tmp_path) if attach else contextlib.nullcontext():
        how = ["--attach", "--loads", "1", "--yes"] if attach else ["--avd", "phone"]
        args = [*how, "--no-kernel", "--alive-within", "60"]
        with started("android", *args, cwd=tmp_path) as process:
            assert wait_until(
                lambda: (
                    (tmp_path / "log").exists()
                    and any(
                        "snapshot load" in each and "-> OK" in each for each in commands(tmp_path)
                    )
                ),
                40,
            )
            process.send_signal(number)
            process.wait(10)
        assert process.returncode == (130 if number is signal.SIGINT else -signal.SIGKILL)
        assert wait_until(lambda: own_snapshot_deleted(tmp_path), 10), commands(tmp_path)
        if not attach:
            assert wait_until(lambda: commands(tmp_path)[-1] == "kill", 10)


def kill_guard(marker: str) -> None:
    """Kill the guard among the processes of this test."""
    (guard,) = [
        pid
        for pid, line in marked_processes(marker).items()
        if "orchestrator.android.guard" in line
    ]
    os.kill(guard, signal.SIGKILL)


async def until_said(words: str, place: Path, testing: "asyncio.Task[Findings]") -> None:
    """Wait until the emulator has been given a command."""
    log = place / "log"
    while not (log.exists() and words in log.read_text()):
        assert not testing.done(), testing.result()
        await asyncio.sleep(0.05)


async def test_a_killed_guard_leaves_all_to_losttick(
    use: Callable[..., Behaviour], tmp_path: Path, nothing_left_behind: str
) -> None:
    use(silent_after=0)
    testing = asyncio.create_task(phone_examined())

    await until_said("avd snapshot load", tmp_path, testing)
    kill_guard(nothing_left_behind)
    testing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await testing
    assert own_snapshot_deleted(tmp_path)
    assert commands(tmp_path)[-1] == "kill"


@pytest.mark.thorough
async def test_a_killed_guard_spoils_no_answer(
    use: Callable[..., Behaviour], tmp_path: Path, nothing_left_behind: str
) -> None:
    use()
    testing = asyncio.create_task(phone_examined())
    await until_said("avd snapshot save", tmp_path, testing)
    kill_guard(nothing_left_behind)
    assert [load.guest for load in (await testing).loads] == [Guest.RAN, Guest.RAN]
    assert own_snapshot_deleted(tmp_path)


def test_the_command_tells_of_emulator_and_kernel(
    use: Callable[..., Behaviour],
    losttick: Callable[..., "subprocess.CompletedProcess[str]"],
    kvm: Accel,
) -> None:
    """The kernel's test is cut short here: it then gives no answer, and the report says so."""
    use(accel=kvm)
    done = losttick("android", "--avd", "phone", "--loads", "1", "--kernel-seconds", "2")
    assert done.returncode == 6, done.stderr
    assert done.stderr.startswith("Once Android has booted, its test takes about 40 s")
    for words in (
        "The emulator of phone did not freeze in 1 load of a snapshot.",
        "The test gave no clear answer about the bug.",
        "The kernel's test had no time to end",
        "emulator -avd phone -no-snapshot-load",
        "LAPIC timers before the save: vCPU 0: one-shot",
    ):
        assert words in done.stdout


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_an_end_in_the_middle_of_the_kernels_test(
    use: Callable[..., Behaviour], tmp_path: Path, kvm: Accel
) -> None:
    """What the test has found until then is told."""
    use(accel=kvm)
    with started("android", "--avd", "phone", "--loads", "1", "--out=out", cwd=tmp_path) as process:
        journal = tmp_path / "out" / "journal.jsonl"
        assert wait_until(lambda: journal.exists() and '"trial"' in journal.read_text(), 200)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    told = " ".join(said.split())
    assert "did not freeze in 1 load" in told
    assert "The test gave no clear answer about the bug." in told
    assert "You ended the kernel's test before it was over." in told


def test_an_avd_that_is_not_there(
    use: Callable[..., Behaviour], losttick: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    use()
    done = losttick("android", "--avd", "tablet")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'tablet': there are phone" in done.stderr
    assert losttick("android", "--avd", "phone", "--adb", "/nowhere").returncode == 3


def test_a_folder_that_is_taken_is_refused_first(
    use: Callable[..., Behaviour],
    losttick: Callable[..., "subprocess.CompletedProcess[str]"],
    tmp_path: Path,
) -> None:
    use()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "theirs").touch()
    done = losttick("android", "--avd", "phone", "--out=out")
    assert (done.returncode, done.stdout) == (2, "")
    assert "it is not empty" in done.stderr
    assert not (tmp_path / "log").exists(), "no emulator was started"


def test_a_user_who_is_not_there_is_refused_first(
    use: Callable[..., Behaviour],
    losttick: Callable[..., "subprocess.CompletedProcess[str]"],
    tmp_path: Path,
) -> None:
    use()
    done = losttick("android", "--avd", "phone", "--qemu-user", "nosuch")
    assert (done.returncode, done.stdout) == (2, "")
    assert "running QEMU as 'nosuch': there is no such user" in done.stderr
    assert not (tmp_path / "log").exists(), "no emulator was started"


@pytest.mark.thorough
@pytest.mark.parametrize("as_json", [False, True])
def test_what_the_emulator_did_is_told_though_the_kernels_test_is_refused(
    use: Callable[..., Behaviour], tmp_path: Path, kvm: Accel, as_json: bool
) -> None:
    """The folder becomes one that other users can write to, in the midst of the first part."""
    use(accel=kvm)
    args = ["--avd", "phone", "--loads", "1", "--out=out", *(["--json"] if as_json else [])]
    with started("android", *args, cwd=tmp_path) as process:
        assert wait_until(lambda: (tmp_path / "log").exists(), 40)
        (tmp_path / "out").chmod(0o777)
        said, errors = process.communicate(timeout=100)
    assert process.returncode == 2, errors
    told = " ".join(said.split())
    assert "or allow this one with --shared-out" in told
    if as_json:
        document = json.loads(said)
        assert [load["guest"] for load in document["findings"]["loads"]] == ["ran"]
        assert document["kernel_verdict"] is None
    else:
        assert "did not freeze in 1 load" in told


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_an_end_with_json_tells_a_person(
    use: Callable[..., Behaviour], tmp_path: Path, kvm: Accel
) -> None:
    use(accel=kvm)
    args = ["--avd", "phone", "--loads", "1", "--out=out", "--json"]
    with started("android", *args, cwd=tmp_path) as process:
        journal = tmp_path / "out" / "journal.jsonl"
        assert wait_until(lambda: journal.exists() and '"trial"' in journal.read_text(), 200)
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert json.loads(said) == {"verdict": None, "error": "interrupted"}
    assert "did not freeze in 1 load" in " ".join(errors.split())


@pytest.mark.thorough
def test_a_qemu_that_runs_as_root_is_told_of(
    use: Callable[..., Behaviour],
    losttick: Callable[..., "subprocess.CompletedProcess[str]"],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kvm: Accel,
) -> None:
    """The QEMU of the kernel's test is in a folder that only root may enter."""
    if os.geteuid() != 0:
        not_applicable("only root runs QEMU as another user")
    use(accel=kvm, dies_at="start")
    found = shutil.which(DEFAULT_QEMU)
    assert found is not None
    (tmp_path / "closed").mkdir(mode=0o700)
    (tmp_path / "closed" / DEFAULT_QEMU).symlink_to(found)
    monkeypatch.setenv("PATH", f"{tmp_path / 'closed'}:{os.environ['PATH']}")
    done = losttick("android", "--avd", "phone", "--kernel-seconds", "1")
    assert done.stderr.count("QEMU runs as root, as only root may run") == 1
