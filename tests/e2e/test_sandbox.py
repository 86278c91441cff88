"""A QEMU that losttick has started may do little: its filter and its user forbid the rest."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.cli.exits import ExitCode
from orchestrator.host.local import LocalHost
from orchestrator.host.local_qemu import LocalQemu
from orchestrator.qmp.errors import MonitorClosedError
from orchestrator.vm.config import Accel, InstanceConfig
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


async def test_a_qemu_that_must_not_start_programs_dies_of_it(
    host: LocalHost, best_accel: Accel
) -> None:
    need_sandbox(host)
    config = InstanceConfig(best_accel, spawns=False)
    async with launch(host, config) as instance:
        await instance.stop()
        with pytest.raises(MonitorClosedError):
            await instance.monitor.execute("migrate", {"uri": "exec:cat >/dev/null"})
            await instance.monitor.execute("query-status")
        end = await instance.kill()
        assert end.code == -signal.SIGSYS, end
        assert "its sandbox forbids a system call" in str(end)


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
