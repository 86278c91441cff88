"""The user that QEMU runs as."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from orchestrator.host import qemu_user
from orchestrator.host.qemu_user import QemuUserError, choose_user
from tests.support.needs import not_applicable
from tests.support.places import ROOT

PROGRAM = ("/usr/bin/env",)


def need_root() -> None:
    if os.geteuid() != 0:
        not_applicable("only root runs QEMU as another user")


async def test_root_takes_a_user_whom_nobody_else_is() -> None:
    need_root()
    user = await choose_user(None, PROGRAM, {})
    if user.why_root:
        not_applicable(user.why_root)
    assert user.run_as is not None
    assert user.run_as.uid == user.run_as.gid >= 61184
    assert user.name == f"user {user.run_as.uid}"
    with pytest.raises(KeyError):
        pwd.getpwuid(user.run_as.uid)


async def test_a_named_user() -> None:
    need_root()
    nobody = pwd.getpwnam("nobody")
    for wanted in ("nobody", str(nobody.pw_uid)):
        user = await choose_user(wanted, PROGRAM, {})
        assert user.run_as is not None
        assert (user.run_as.uid, user.run_as.gid) == (nobody.pw_uid, nobody.pw_gid)
        assert not user.why_root
    for wanted in ("root", "0"):
        user = await choose_user(wanted, PROGRAM, {})
        assert (user.name, user.run_as, user.why_root) == ("root", None, "")


@pytest.mark.parametrize("wanted", ["no-such-user", "", "-1", "4294967295", "1" * 40, "²"])
async def test_a_user_who_does_not_exist(wanted: str) -> None:
    with pytest.raises(QemuUserError, match="there is no such user"):
        await choose_user(wanted, PROGRAM, {})


@pytest.mark.parametrize(
    ("mode", "gid", "groups", "own"),
    [
        (0o660, 0, (), True),
        (0o660, 104, (104,), False),
        (0o666, 0, (), False),
        (0o600, 0, (), True),
        (0o600, 104, (), True),
        (0o620, 104, (), True),
    ],
)
async def test_the_group_of_root_is_given_to_no_qemu(
    monkeypatch: pytest.MonkeyPatch, mode: int, gid: int,
    groups: tuple[int, ...], own: bool,
) -> None:  # fmt: skip
    """It may write where no guest should."""
    need_root()
    with tempfile.TemporaryDirectory() as place:  # that another user can enter
        Path(place).chmod(0o711)
        kvm = Path(place) / "kvm"
        try:
            os.mknod(kvm, stat.S_IFCHR | mode, os.makedev(1, 3))
            kvm.chmod(mode)
            os.chown(kvm, 0, gid)
            kvm.open("rb").close()
        except OSError as error:
            not_applicable(f"no device file can be made and used here: {error.strerror}")
        monkeypatch.setattr(qemu_user, "KVM", str(kvm))
        user = await choose_user(None, PROGRAM, {})
    if own and "only root may open" in user.why_root:
        not_applicable("no mount namespace can be made here")
    assert user.run_as is not None
    assert (user.run_as.groups, bool(user.run_as.device)) == (groups, own)


async def test_what_only_root_may_reach_is_run_by_root_unless_another_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dynamic loader leaves out a library that it can't read, without a word."""
    need_root()
    monkeypatch.setattr(qemu_user, "KVM", str(tmp_path / "kvm"))  # only root may open some hosts'
    closed = tmp_path / "closed"  # as each folder of pytest's is
    shutil.copy("/usr/bin/env", closed)
    for program, environment in (
        ((str(closed),), {}),
        (("/usr/bin/env", str(closed)), {}),
        (PROGRAM, {"LD_PRELOAD": f"/usr/bin/env {closed}"}),
    ):
        user = await choose_user(None, program, environment)
        assert (user.name, user.run_as) == ("root", None)
        assert f"only root may run {closed}" in user.why_root
        with pytest.raises(QemuUserError, match=f"as nobody: this user may not run {closed}"):
            await choose_user("nobody", program, environment)


CHOOSE = """
import asyncio, sys
from orchestrator.host.qemu_user import choose_user, QemuUserError
try:
    print(asyncio.run(choose_user(sys.argv[1] or None, ("/usr/bin/env",), {})))
except QemuUserError as error:
    print(error)
"""


def choose_by(setpriv: list[str], wanted: str = "") -> str:
    """Choose in another process, which setpriv has changed."""

    def run(*args: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["setpriv", *setpriv, sys.executable, *args], capture_output=True, text=True,
            check=False, env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    if run("-c", "import orchestrator.host.qemu_user").returncode != 0:
        not_applicable("another user may not use this Python or this clone")
    done = run("-c", CHOOSE, wanted)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_others_than_root_run_qemu_as_themselves_alone() -> None:
    need_root()
    nobody = ["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
    assert choose_by(nobody) == "QemuUser(name='nobody', run_as=None, why_root='')\n"
    assert "only root can run QEMU as another user" in choose_by(nobody, "root")
    assert "run_as=None" in choose_by(nobody, "nobody")


def test_a_root_that_may_not_change_users_says_so() -> None:
    need_root()
    assert "this root lacks CAP_SETUID" in choose_by(["--bounding-set", "-setuid"])


def test_a_root_of_one_user_alone_is_that_user() -> None:
    done = subprocess.run(
        ["unshare", "-r", sys.executable, "-c", CHOOSE, ""],
        capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    if "unshare" in done.stderr:
        not_applicable(done.stderr)
    assert done.stdout == "QemuUser(name='root', run_as=None, why_root='')\n", done.stderr


PIN = """
import os, subprocess, sys
from orchestrator.host.cpus import Pins
sleeper = subprocess.Popen(["sleep", "60"], user=61999)
try:
    cpu = Pins(61999 if sys.argv[1] else None).pin(sleeper.pid)
    print(cpu in os.sched_getaffinity(sleeper.pid))
    print(len(os.sched_getaffinity(sleeper.pid)))
finally:
    sleeper.kill()
"""


@pytest.mark.parametrize(("known", "pinned"), [("yes", "True\n1\n"), ("", "False\n")])
def test_a_root_without_cap_sys_nice_pins_too(known: str, pinned: str) -> None:
    """Such as in a container."""
    need_root()
    if len(os.sched_getaffinity(0)) < 2:
        not_applicable("there is one CPU: nothing is pinned")
    done = subprocess.run(
        ["setpriv", "--bounding-set", "-sys_nice", sys.executable, "-c", PIN, known],
        capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stdout.startswith(pinned)
