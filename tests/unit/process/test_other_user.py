"""A supervised program may run as another user, and works in its folder."""

import os
import select
import signal
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.process import folder
from orchestrator.process.exit import ProcessExit
from orchestrator.process.supervised import Supervised, supervise
from orchestrator.process.user import RunAs
from tests.support.needs import not_applicable
from tests.support.processes import wait_until

#: A user and a group that nobody has.
STRANGER = RunAs(61999, 61998, (61997,))


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which programs have their folders; closed to other users."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def opened_folder() -> Iterator[Path]:
    """A folder that every user may enter, as those of pytest are not."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o711)
        yield Path(place)


def need_root() -> None:
    if os.geteuid() != 0:
        not_applicable("only root can run a program as another user")


async def shell(script: str, user: RunAs | None = None) -> Supervised:
    return await supervise(
        ["/bin/sh", "-c", script], {"given": b"given\n"}, what="a shell", user=user
    )


async def said(script: str, user: RunAs | None) -> ProcessExit:
    return await (await shell(script, user)).exited()


async def test_another_user_has_no_privilege_and_its_folder(base: Path) -> None:
    need_root()
    end = await said(
        "cat given && echo new >>given && echo more >more"
        " && grep -E '^(Uid|Gid|Groups|CapEff|NoNewPrivs):' /proc/self/status",
        STRANGER,
    )
    assert end.code == 0, end
    assert end.stderr.startswith("given\n")
    words = {line.split(":")[0]: set(line.split()[1:]) for line in end.stderr.splitlines()[1:]}
    assert words == {
        "Uid": {"61999"}, "Gid": {"61998"}, "Groups": {"61997"},
        "CapEff": {"0" * 16}, "NoNewPrivs": {"1"},
    }  # fmt: skip
    assert list(base.iterdir()) == []


async def test_another_user_ends_with_its_supervisor(base: Path) -> None:
    """A change of user ends the setting by which a program dies with its parent."""
    need_root()
    program = await shell("exec sleep 60", STRANGER)
    parent = int(Path(f"/proc/{program.pid}/stat").read_text().split()[3])
    fd = os.pidfd_open(program.pid)
    try:
        os.kill(parent, signal.SIGKILL)
        assert select.select([fd], [], [], 20)[0], "the program outlives its supervisor"
    finally:
        os.close(fd)
        await program.kill()


async def test_a_device_that_only_root_may_open_is_opened_to_the_program(
    base: Path, opened_folder: Path
) -> None:
    need_root()
    device = opened_folder / "null"
    try:
        os.mknod(device, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        device.open("rb").close()
    except OSError as error:
        not_applicable(f"no device file can be made and used here: {error.strerror}")
    test = f"test -w {device} -a -c {device} && echo x >{device} && test -f given"
    assert (await said(test, STRANGER)).code != 0
    opened = RunAs(STRANGER.uid, STRANGER.gid, device=str(device))
    end = await said(test, opened)
    if "unshare:" in end.stderr or "mount:" in end.stderr:
        not_applicable(f"no mount namespace can be made here: {end.stderr}")
    assert end.code == 0, end
    assert stat.S_IMODE(device.stat().st_mode) == 0o600
    assert str(base) not in Path("/proc/self/mounts").read_text()


async def test_a_user_that_cannot_be_is_said(base: Path) -> None:
    if os.geteuid() == 0:
        not_applicable("root may become any user")
    end = await said("true", STRANGER)
    assert end.code == 127
    assert "becoming the user 61999:61998:61997:" in end.stderr


async def test_a_folder_of_another_user_is_swept_if_its_marker_is_ours(base: Path) -> None:
    need_root()
    for name, marker in (("ours", 0), ("theirs", STRANGER.uid)):
        place = base / f"{folder.PREFIX}{name}"
        place.mkdir()
        (place / folder.MARKER).touch()
        os.chown(place / folder.MARKER, marker, marker)
        os.chown(place, STRANGER.uid, STRANGER.gid)
    assert folder.sweep(base) == [base / f"{folder.PREFIX}ours"]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("ln -s {secret} state", "Too many levels of symbolic links"),
        ("mkfifo state", "not a regular file"),
        ("mkdir state", "Is a directory"),
        ("ln -s loop state; ln -s state loop", "Too many levels of symbolic links"),
    ],
)
async def test_only_the_programs_own_files_are_read(
    base: Path, tmp_path: Path, script: str, why: str
) -> None:
    """A program that a guest has taken over can't have losttick read what is not its own."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    program = await shell(
        f"{script.format(secret=secret)}; echo good >new; mv new done; exec sleep 60"
    )
    try:
        assert wait_until((program.folder / "done").exists)
        with pytest.raises(OSError, match=why):
            await program.read_file("state")
        assert (await program.read_file("done")).startswith(b"good")
    finally:
        await program.kill()


async def test_a_moved_folder_is_still_the_one_that_is_read(base: Path) -> None:
    program = await shell("exec sleep 60")
    other = program.folder.with_name("other")
    program.folder.rename(other)
    program.folder.symlink_to("/etc")
    try:
        assert await program.read_file("given") == b"given\n"
        with pytest.raises(FileNotFoundError):
            await program.read_file("passwd")
    finally:
        program.folder.unlink()
        other.rename(program.folder)
        await program.kill()


async def test_an_exchanged_folder_gives_nobody_another_folder(base: Path, tmp_path: Path) -> None:
    """Root gives the program's user its own folder, not what has got that folder's name."""
    need_root()
    (victim := tmp_path / "victim").mkdir()
    (victim / "file").touch()

    def exchange(place: Path) -> None:
        place.rename(tmp_path / "away")
        place.symlink_to(victim)

    program = await supervise(
        ["/bin/cat", "given"], {"given": b"given"}, what="cat", user=STRANGER, on_folder=exchange
    )
    end = await program.exited()
    await program.kill()
    assert [each.stat().st_uid for each in (victim, victim / "file")] == [0, 0]
    assert (end.code, end.stderr) == (0, "given")


def test_sigsys_is_named() -> None:
    said = str(ProcessExit(-31, "last words"))
    assert said.startswith("signal 31 (SIGSYS: its sandbox forbids a system call")
    assert "--qemu-arg=-sandbox --qemu-arg=off" in said
    assert said.endswith(": last words")
