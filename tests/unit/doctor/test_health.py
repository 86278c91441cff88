"""A node is unfit with what a run left behind or lacks, and drains itself once."""

from pathlib import Path

import pytest

from orchestrator.doctor import health as module
from orchestrator.doctor.findings import Finding
from orchestrator.doctor.health import DrainError, drain, health

BAD = [Finding("/dev/kvm", False, "absent\n\x1b[31m"), Finding("room", True, "much")]


def process(proc: Path, pid: int, parent: int, cwd: str, cmdline: bytes) -> None:
    place = proc / str(pid)
    place.mkdir()
    (place / "cwd").symlink_to(cwd)
    (place / "cmdline").write_bytes(cmdline)
    (place / "stat").write_text(f"{pid} (a) b) S {parent} 1 1")


def test_a_qemu_without_its_supervisor_is_left(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    process(tmp_path, 1, 0, "/", b"init")
    process(tmp_path, 10, 1, "/", b"python\0/x/supervisor.py\0003")
    process(tmp_path, 11, 10, "/dev/shm/losttick-qemu-a", b"qemu")
    process(tmp_path, 12, 11, "/dev/shm/losttick-qemu-a", b"child of qemu")
    process(tmp_path, 13, 1, "/home/losttick-qemus/x", b"vi")
    found = {each.subject: each for each in health(tmp_path)}
    assert found["processes"].good
    process(tmp_path, 14, 1, "/dev/shm/losttick-qemu-b (deleted)", b"qemu")
    found = {each.subject: each for each in health(tmp_path)}
    assert found["processes"].seen == "left from a run that ended: 14"


def test_no_kvm_and_no_room_are_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "kvm_device", lambda: "permission denied")
    monkeypatch.setattr(module, "ROOM_BYTES", 1 << 80)
    found = {each.subject: each for each in health(tmp_path)}
    assert found["/dev/kvm"].seen == "can't be opened: permission denied"
    assert found["room"].seen.startswith("only ")
    assert not found["room"].good


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-ins for Slurm's commands. The state that `sinfo` prints is in a file."""
    for name, text in {
        "sinfo": f"cat {tmp_path}/state",
        "scontrol": f'printf "%s\\n" "$@" >{tmp_path}/update; [ ! -e {tmp_path}/refuse ]',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "state").write_text("idle\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def test_an_unfit_node_is_drained_once(slurm: Path) -> None:
    env = {"SLURMD_NODENAME": "node1"}
    assert drain([BAD[1]], env) is None
    assert not (slurm / "update").exists()
    reason = drain(BAD, env)
    assert reason is not None
    assert reason.isprintable()
    assert (slurm / "update").read_text().splitlines() == [
        "update", "NodeName=node1", "State=DRAIN", f"Reason={reason}"
    ]  # fmt: skip
    (slurm / "update").unlink()
    (slurm / "state").write_text("drained*\n")
    assert drain(BAD, env) == reason
    assert not (slurm / "update").exists()


def test_a_refusal_is_an_error(slurm: Path) -> None:
    (slurm / "refuse").touch()
    with pytest.raises(DrainError, match="draining"):
        drain(BAD, {})
