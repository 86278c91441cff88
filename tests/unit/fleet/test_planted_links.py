"""Links that another user puts into the folder of a fleet lead losttick to no file of root's."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import LosttickError
from orchestrator.fleet.fleet_file import FleetFile
from orchestrator.fleet.folder import FleetFolder
from orchestrator.fleet.slurm.executor import _prepare
from orchestrator.fleet.slurm.scripts import batches, make_identity, write_script
from orchestrator.fleet.ssh.job import Job
from orchestrator.fleet.ssh.kept import Kept
from orchestrator.fleet.ssh.reply import Ended, Facts, Files, JobState
from orchestrator.fleet.ssh.setting import Setting
from orchestrator.fleet.task import tasks
from tests.support.foreign_user import OtherUser

FILE = FleetFile.model_validate({"engine": "ssh", "hosts": [{"name": "node1"}]})

TASK, = tasks(FILE)  # fmt: skip

FACTS = Facts(
    release="6.1", boot_id="b", time=0.0, uid=0, folder="/f", python="3", kills_at_logout=False
)


class Host:
    """A host on which the job has failed."""

    async def ask(self, *_: object, **__: object) -> JobState:
        ended = Ended(code=4, why="", began=0.0, ended=1.0)
        return JobState(
            running=False, begun=None, ended=ended, cancelled=False, tail="a fault", boot_id="b",
            release="6.1", time=2.0,
        )  # fmt: skip

    async def listen(self, *_: object, **__: object) -> AsyncIterator[Files]:
        yield Files(files=0, odd=0)

    @contextlib.asynccontextmanager
    async def sftp(self) -> AsyncIterator["Host"]:
        yield self


def end_job(folder: FleetFolder) -> None:
    """Bring a job to its end, which writes what it printed."""

    async def say(*_: object) -> None:
        pass

    host: Any = Host()
    setting = Setting(FILE, folder.path, folder, _Named(), {"": Path()}, allow_reboot=False)
    asyncio.run(Job(setting, TASK, None, say).run(host, FACTS))


class _Named(Kept):
    """Names a fleet, and keeps nothing."""

    def __init__(self) -> None:
        self.id = "0" * 16


def script(folder: FleetFolder) -> None:
    write_script("#!/bin/sh\n", batches(FILE)[0], folder)


def over(folder: FleetFolder) -> None:
    Kept(folder).is_over(TASK.id, 0, "")


def home(folder: FleetFolder) -> None:
    Kept(folder).booted("node1", "6.1", "b")
    Kept(folder).is_home("node1")


WRITERS: list[tuple[str, Callable[[FleetFolder], object], list[str]]] = [
    ("ssh", Kept, [".id.new"]),
    ("ssh", over, [f".{TASK.id}.over.new", f"{TASK.id}.over"]),
    ("ssh", home, [".node1.home.new", "node1.home"]),
    ("output", end_job, [f"{TASK.id}.txt"]),
    ("scripts", make_identity, [f".identity-{os.getpid()}", "identity"]),
    ("scripts", script, [f".{TASK.id}.sh-{os.getpid()}", f"{TASK.id}.sh"]),
]


def seen(place: Path) -> dict[str, str]:
    return {each.name: each.read_text() for each in place.iterdir()}


@pytest.mark.parametrize(("below", "write", "names"), WRITERS)
def test_a_link_to_a_file_is_not_written_through(
    below: str, write: Callable[[FleetFolder], object], names: list[str],
    other_user: OtherUser, tmp_path: Path,
) -> None:  # fmt: skip
    precious = tmp_path / "precious"
    precious.write_text("precious")
    links = "; ".join(f"ln -s {precious} {below}/{name}" for name in names)
    other_user.sh(f"mkdir {below}; {links}")
    write(FleetFolder(other_user.home))
    assert precious.read_text() == "precious"
    written = [each for each in (other_user.home / below).iterdir() if not each.is_symlink()]
    assert written or write is home
    assert all(each.owner() == "root" for each in written)


@pytest.mark.parametrize(("below", "write", "names"), WRITERS)
def test_a_link_to_a_folder_is_not_written_into(
    below: str, write: Callable[[FleetFolder], object], names: list[str],
    other_user: OtherUser, tmp_path: Path,
) -> None:  # fmt: skip
    victim = tmp_path / "victim"
    victim.mkdir()
    for name in (*names, *(() if write is Kept else ("id",))):
        (victim / name).write_text("0123456789abcdef")
    before = seen(victim)
    other_user.sh(f"ln -s {victim} {below}")
    with contextlib.suppress(LosttickError, OSError):
        write(FleetFolder(other_user.home))
    assert seen(victim) == before
    assert (other_user.home / below).is_symlink()


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize(("below", "write", "names"), WRITERS)
def test_an_own_link_to_a_larger_disk_is_followed(
    below: str, write: Callable[[FleetFolder], object], names: list[str],
    tmp_path: Path, linked: bool,
) -> None:  # fmt: skip
    (tmp_path / "disk").mkdir()
    (tmp_path / "again").symlink_to("disk")
    (tmp_path / "fleet").mkdir()
    (tmp_path / "fleet" / below).symlink_to("../again" if linked else tmp_path / "disk")
    write(FleetFolder(tmp_path / "fleet"))
    assert (tmp_path / "fleet" / below).is_symlink()
    assert list((tmp_path / "disk").iterdir()) or write is home


def test_slurm_s_folders_may_be_own_links(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "fleet").mkdir()
    for name in ("output", "runs", "scripts"):
        (tmp_path / "fleet" / name).symlink_to(tmp_path / "disk")
    assert _prepare(FleetFolder(tmp_path / "fleet"))


def test_a_link_of_another_user_behind_an_own_one(other_user: OtherUser, tmp_path: Path) -> None:
    other_user.sh(f"ln -s {tmp_path} way")
    (tmp_path / "fleet").mkdir()
    (tmp_path / "fleet" / "runs").symlink_to(other_user.home / "way")
    held = FleetFolder(tmp_path / "fleet").held("runs")
    with pytest.raises(OSError, match="'way' is a symbolic link of user nobody"), held:
        pass
