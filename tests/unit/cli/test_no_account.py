"""A user of no account, as in a container: without a name, and without a home folder."""

import json
import os
import pwd
import shutil
from collections.abc import Iterator

import pytest

from orchestrator.cli.bisect.run import _step_folder
from orchestrator.host.kvm_access import access_to_kvm
from orchestrator.process.home import NoHomeError
from tests.support.command_here import losttick
from tests.support.foreign_user import UNNAMED, OtherUser
from tests.support.golden_reports import laid

HOMES = ("HOME", "USER", "LOGNAME", "USERNAME", "SUDO_USER", "LOSTTICK_HISTORY",
         "XDG_DATA_HOME", "XDG_CACHE_HOME")  # fmt: skip


@pytest.fixture
def user(other_user: OtherUser, monkeypatch: pytest.MonkeyPatch) -> Iterator[OtherUser]:
    with pytest.raises(KeyError):
        pwd.getpwuid(UNNAMED)
    for name in HOMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(other_user.home)
    os.chown(other_user.home, UNNAMED, UNNAMED)
    yield other_user


def unnamed(user: OtherUser, *words: str) -> tuple[int, str, str]:
    """Run a command as this user, after another one has: that imports what is needed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(user.home / "other"))
        losttick(*words)
    shutil.rmtree("losttick-out", ignore_errors=True)
    with user.acts(UNNAMED):
        done = losttick(*words)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "history list",
        "history list --json",
        "history add RUN",
        "history trend",
        "history show 1",
        "history prune --keep 1d",
        "compare nightly RUN",
        "compare nightly RUN --json",
        "run --plan none --history",
        "history list --db ~/history",
        "bisect --qemus ~/a,~/b",
        "bisect --qemus @~/list",
    ],
)
def test_what_is_in_the_home_folder_must_be_named(user: OtherUser, command: str) -> None:
    command = command.replace("RUN", str(laid("unknown", user.home / "runs")))
    code, printed, said = unnamed(user, *command.split())
    assert code == 2
    if "plan" not in command:
        assert "no home folder" in said or "no user has such a home folder" in said
        assert "--db" in said or "~" in command
    if "--json" in command:
        assert json.loads(printed)["error"] in said.removeprefix("losttick: ")


@pytest.mark.parametrize("command", ["list", "list --check", "clean"])
def test_the_cache_must_be_named(user: OtherUser, command: str) -> None:
    code, printed, said = unnamed(user, "lab", *command.split(), "--json")
    assert code == 4
    assert "this user has no home folder. Let XDG_CACHE_HOME name a folder" in said
    assert "a fault in losttick" not in said
    assert "no home folder" in json.loads(printed)["error"]


@pytest.mark.parametrize(
    ("mode", "group"),
    [(0o600, 0), (0o660, 0), (0o660, 1), (0o660, UNNAMED + 1)],
)
def test_access_to_kvm_is_given_to_the_number(user: OtherUser, mode: int, group: int) -> None:
    """No group has a user without a name."""
    device = user.home / "kvm"
    device.touch()
    device.chmod(mode)
    os.chown(device, 0, group)
    with user.acts(UNNAMED):
        access = access_to_kvm(device)
    assert access
    assert access.command == ("setfacl", "-m", f"u:{UNNAMED}:rw", str(device))


def test_the_steps_of_a_bisection_need_a_place(user: OtherUser) -> None:
    with user.acts(UNNAMED), pytest.raises(NoHomeError, match="Name it by --out"):
        _step_folder(None)
