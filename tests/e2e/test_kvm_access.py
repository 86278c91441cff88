"""A user who may not open /dev/kvm: the host's KVM was not tested, and that is said."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.command import losttick_command
from tests.support.needs import not_applicable

NOBODY = 65534

#: Reads what only root may read, such as Python's own files, and opens no device for writing.
AS_NOBODY = (
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
    "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
)  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder of the user's own, on a host whose KVM is closed to others."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        not_applicable("only root becomes another user")
    if not Path("/dev/kvm").exists() or Path("/dev/kvm").stat().st_mode & 0o006:
        not_applicable("/dev/kvm is not there, or open to everybody")
    own = tmp_path / "own"
    own.mkdir()
    os.chown(own, NOBODY, NOBODY)
    return own


def losttick(place: Path, *args: str) -> "subprocess.CompletedProcess[str]":
    env = os.environ | {"HOME": str(place), "XDG_RUNTIME_DIR": str(place), "COLUMNS": "400"}
    return subprocess.run(
        [*AS_NOBODY, *losttick_command(*args)], cwd=place, env=env, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip


def test_a_user_without_access_is_told_first(place: Path) -> None:
    done = losttick(place, "run", "--json")
    assert done.returncode == 3, done.stderr
    first = done.stderr.splitlines()[0]
    assert first.startswith("losttick: this host's KVM was not tested: /dev/kvm can't be opened")
    assert "sudo usermod -aG" in first or "sudo setfacl -m" in first
    assert json.loads(done.stdout)["verdict"] is None
    assert not any(path.is_file() for path in place.rglob("*"))


def test_doctor_agrees_and_names_the_remedy(place: Path) -> None:
    done = losttick(place, "doctor", "--fix")
    assert done.returncode == 3, done.stderr
    assert "`losttick run` can't give a verdict here" in done.stdout
    for said in (done.stdout, done.stderr):
        assert "/dev/kvm: usermod -aG" in said or "/dev/kvm: setfacl -m" in said
    assert "log in again" in done.stderr or "then run this again" in done.stderr
    assert "nothing that it could mend" not in done.stderr
