"""A QEMU that losttick has started may do little: its filter and its user forbid the rest."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.cli.exits import ExitCode
from orchestrator.host.local import LocalHost
from orchestrator.host.local_qemu import LocalQemu
from orchestrator.qmp.errors import MonitorClosedError
from orchestrator.snapshot.state import save_state
from orchestrator.vm.config import Accel, InstanceConfig
from orchestrator.vm.instance import NeedsSpawnError
from orchestrator.vm.launch import launch
from tests.support.journal import journal_dicts
from tests.support.needs import not_applicable

Run = Callable[..., "subprocess.CompletedProcess[str]"]

#: A short run by one method.
RUN = ("run", "--period", "20", "--trials", "3", "--rule-out", "0.7", "--controls", "0")

DENIED = "on,obsolete=deny,elevateprivileges=deny,resourcecontrol=deny"


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def need_sandbox(host: LocalHost) -> None:
    if not host.facts.need_qemu().sandbox:
        not_applicable("this QEMU or this kernel lacks seccomp")


async def test_qemu_has_a_filter_and_no_privilege(host: LocalHost, accel: Accel) -> None:
    need_sandbox(host)
    async with launch(host, InstanceConfig(accel)) as instance:
        process = instance.process
        assert isinstance(process, LocalQemu)
        found = status(process.pid)
        assert (found["Seccomp"], found["NoNewPrivs"]) == ("2", "1")
        assert int(found["CapEff"], 16) == 0 or host.user.why_root
        assert found["Uid"].split()[0] != "0" or host.user.why_root
        # losttick pins a vCPU from outside; the filter forbids it to QEMU itself.
        if len(os.sched_getaffinity(0)) > 1:
            ((thread,), (cpu,)) = instance.facts.vcpu_threads, instance.facts.pinned_cpus
            assert os.sched_getaffinity(thread) == {cpu}


async def test_a_qemu_may_start_programs_only_where_it_was_asked_for(
    host: LocalHost, best_accel: Accel
) -> None:
    need_sandbox(host)
    async with launch(host, InstanceConfig(best_accel)) as instance:
        for method in ("exec", "incoming"):
            with pytest.raises(NeedsSpawnError, match=f"by {method}: .* spawns=True"):
                await save_state(instance, "here", method)
        await save_state(instance, "here", "hmp")  # it lives, and its guest was not touched
    async with launch(host, InstanceConfig(best_accel, spawns=True)) as instance:
        await save_state(instance, "here", "exec")


async def test_a_qemu_that_must_not_start_programs_dies_of_it(
    host: LocalHost, best_accel: Accel
) -> None:
    need_sandbox(host)
    async with launch(host, InstanceConfig(best_accel)) as instance:
        await instance.stop()
        with pytest.raises(MonitorClosedError):
            await instance.monitor.execute("migrate", {"uri": "exec:cat >/dev/null"})
            await instance.monitor.execute("query-status")
        end = await instance.kill()
        assert end.code == -signal.SIGSYS, end
        assert "its sandbox forbids a system call" in str(end)


def qemu_that_notes(log: Path, name: str) -> str:
    """Return a QEMU that first writes its command line to a file of its own in a folder."""
    log.mkdir(exist_ok=True)
    script = log.parent / name
    qemu = shutil.which("qemu-system-x86_64")
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{log}/$$\nexec {qemu} "$@"\n')
    script.chmod(0o755)
    return str(script)


@pytest.mark.thorough
@pytest.mark.parametrize("method", ["loadvm", "exec"])
def test_every_qemu_of_a_run_is_denied_what_it_does_not_need(
    losttick: Run, host: LocalHost, best_accel: Accel, tmp_path: Path, method: str
) -> None:
    """Not only those that the journal names: also those that try, measure, or load."""
    need_sandbox(host)
    log = tmp_path / "started"
    qemus = ("--qemu", qemu_that_notes(log, "saver"), "--loader", qemu_that_notes(log, "loader"))
    limits = ("--trials", "3", "--rule-out", "0.7", "--controls", "0")
    done = losttick(
        "run", *limits, *qemus, "--accel", best_accel, "--method", method, "--out", "out", "--json"
    )
    assert json.loads(done.stdout)["cells"][0]["trials"] == 3, done.stdout + done.stderr
    records = journal_dicts(tmp_path / "out" / "journal.jsonl")
    (measured,) = [record["tried"] for record in records if record["record"] == "period"]
    assert measured
    started = [path.read_text().splitlines() for path in log.iterdir()]
    guests = [argv for argv in started if "-bios" in argv]
    sandboxes = [set(argv[argv.index("-sandbox") + 1].split(",")) for argv in guests]
    assert all(set(DENIED.split(",")) <= each for each in sandboxes)
    assert len(sandboxes) >= 1 + len(measured) + 2 + 1 + 3, "tried, measured, tried with a loader"
    may_spawn = sum("spawn=deny" not in each for each in sandboxes)
    if method == "exec":
        assert may_spawn <= len(sandboxes) - 1 - len(measured)
    else:
        assert may_spawn == 0


def test_doctor_denies_its_qemus_to_start_programs(
    losttick: Run, host: LocalHost, tmp_path: Path
) -> None:
    need_sandbox(host)
    log = tmp_path / "started"
    losttick("doctor", "--qemu", qemu_that_notes(log, "qemu"))
    guests = [argv for path in log.iterdir() if "-bios" in (argv := path.read_text().splitlines())]
    assert guests
    assert all("spawn=deny" in argv[argv.index("-sandbox") + 1] for argv in guests)


@pytest.mark.parametrize(("method", "spawn"), [("hmp", ",spawn=deny"), ("exec", "")])
def test_a_run_denies_what_its_method_does_not_need(
    losttick: Run, host: LocalHost, best_accel: Accel, tmp_path: Path, method: str, spawn: str
) -> None:
    need_sandbox(host)
    done = losttick(*RUN, "--accel", best_accel, "--method", method, "--out", "out", "--json")
    result = json.loads(done.stdout)
    assert result["cells"][0]["trials"] == 3, done.stdout + done.stderr
    assert result["host"]["qemu"]["sandbox"] is True
    assert result["host"]["qemu_user"] == host.facts.qemu_user or os.geteuid() == 0
    records = journal_dicts(tmp_path / "out" / "journal.jsonl")
    started = [record["argv"] for record in records if record.get("argv")]
    assert started
    for argv in started:
        options = argv[argv.index("-sandbox") + 1].split(",")
        assert sorted(options) == sorted((DENIED + spawn).split(","))


def test_ones_own_sandbox_takes_the_place(losttick: Run, best_accel: Accel, tmp_path: Path) -> None:
    own = ("--qemu-arg=-sandbox", "--qemu-arg=on,spawn=deny", "--out", "out", "--json")
    done = losttick(*RUN, "--accel", best_accel, *own)
    assert json.loads(done.stdout)["cells"][0]["trials"] == 3, done.stdout + done.stderr
    for record in journal_dicts(tmp_path / "out" / "journal.jsonl"):
        if argv := record.get("argv"):
            assert argv.count("-sandbox") == 1
            assert "on,spawn=deny" in argv


def test_a_filter_that_kills_qemu_is_named_and_no_finding(losttick: Run, best_accel: Accel) -> None:
    strict = ("--qemu-arg=-sandbox", "--qemu-arg=on,spawn=deny", "--method", "exec")
    done = losttick(*RUN, "--accel", best_accel, *strict)
    assert "SIGSYS: its sandbox forbids a system call" in done.stdout + done.stderr
    assert "anomalous" not in done.stdout
    assert done.returncode == ExitCode.HARNESS, done.stdout + done.stderr


@pytest.mark.parametrize(
    "command", [("run", "--accel", "tcg"), ("doctor",), ("plan", "show", "quick")]
)
def test_a_user_who_does_not_exist(losttick: Run, command: tuple[str, ...]) -> None:
    done = losttick(*command, "--qemu-user", "no-such-user")
    assert done.returncode == 2
    assert "running QEMU as 'no-such-user': there is no such user" in done.stderr


@pytest.mark.thorough
def test_root_may_choose_who_runs_qemu(losttick: Run, best_accel: Accel) -> None:
    if os.geteuid() != 0:
        not_applicable("only root chooses")
    for user in ("nobody", "root"):
        done = losttick(*RUN, "--accel", best_accel, "--qemu-user", user, "--json")
        result = json.loads(done.stdout)
        assert result["host"]["qemu_user"] == user
        assert result["cells"][0]["trials"] == 3, done.stdout + done.stderr
