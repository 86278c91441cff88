"""The file of `--events` beside another user, who would have root append to a file of root's."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.cli.events_file import EventsFile, EventsFileError
from orchestrator.journal.way import Place
from tests.support.command import losttick_command
from tests.support.foreign_user import NOBODY, OtherUser

#: What the other user does in his folder, the path that root then names, and what is said of it.
ATTACKS = {
    "link": ("ln -s {precious} events", "events", "'events' is a symbolic link of user nobody"),
    "link to nothing": ("ln -s {victim}/new events", "events", "is a symbolic link of user nobody"),
    "link on the way": ("ln -s {victim} way", "way/new", "'way' is a symbolic link of user nobody"),
    "link behind a link of root": ("ln -s {victim} way", "{own}", "'way' is a symbolic link of"),
    "file": ("echo forged >events", "events", "the file belongs to user nobody"),
    "file for all": ("echo >events; chmod 666 events", "events", "the file belongs to user nobody"),
    "file in a folder for all": (
        "mkdir -m 777 way; >way/new; chmod 666 way/new",
        "way/new",
        "the file belongs to user nobody",
    ),
    "link in a folder for all": (
        "mkdir -m 777 way; ln -s {precious} way/new",
        "way/new",
        "'new' is a symbolic link of user",
    ),
    "hard link in a folder for all": (
        "mkdir -m 777 way; {ln} {precious} way/new",
        "way/new",
        "a hard link",
    ),
}


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A folder that must stay as it is."""
    place = tmp_path / "victim"
    place.mkdir()
    (place / "precious").write_text("precious")
    yield place
    assert [each.name for each in place.iterdir()] == ["precious"]
    assert (place / "precious").read_text() == "precious"


@pytest.fixture
def sticky(tmp_path: Path) -> Path:
    """A folder for all, such as /tmp."""
    place = tmp_path / "tmp"
    place.mkdir()
    place.chmod(0o1777)
    return place


def attacked(other_user: OtherUser, victim: Path, tmp_path: Path, kind: str) -> tuple[Path, str]:
    script, name, words = ATTACKS[kind]
    precious = victim / "precious"
    for step in script.split("; "):
        if step.startswith("{ln}"):  # a kernel may let any user make one
            (other_user.home / name).hardlink_to(precious)
        else:
            other_user.sh(step.format(victim=victim, precious=precious))
    (tmp_path / "own").symlink_to(other_user.home / "way" / "new")
    return other_user.home / name.format(own=tmp_path / "own"), words


@pytest.mark.parametrize("kind", ATTACKS)
def test_what_another_user_could_choose_is_refused(
    other_user: OtherUser, victim: Path, tmp_path: Path, kind: str
) -> None:
    path, words = attacked(other_user, victim, tmp_path, kind)
    with pytest.raises(EventsFileError, match=words) as refused:
        EventsFile(path, print)
    assert "Name a new file, or one of your own" in str(refused.value)


@pytest.mark.parametrize("kind", ["link", "file in a folder for all"])
def test_the_command_ends_as_one_that_was_mistyped(
    other_user: OtherUser, victim: Path, tmp_path: Path, kind: str
) -> None:
    path, words = attacked(other_user, victim, tmp_path, kind)
    done = subprocess.run(
        losttick_command("run", "--out", str(tmp_path / "out"), "--events", str(path)),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("mode", [0o755, 0o775, 0o777, 0o1777])
@pytest.mark.parametrize("owner", ["root", "nobody"])
def test_a_new_file_in_a_folder_that_others_can_write_to(
    other_user: OtherUser, tmp_path: Path, mode: int, owner: str
) -> None:
    """As of private groups and sudo, or a mount in a container. The new file is this user's."""
    place = other_user.home / "place"
    place.mkdir()
    shutil.chown(place, owner, NOBODY)
    place.chmod(mode)
    for _ in range(2):  # the second time it is there, and still is this user's
        write(place / "events")
    assert (place / "events").read_bytes() == b"line\n" * 2
    assert (place / "events").owner() == "root"


def test_a_file_that_is_exchanged_later(other_user: OtherUser, victim: Path) -> None:
    """The events still go to the file that was made."""
    other_user.sh("mkdir -m 777 way")
    path = other_user.home / "way" / "events"
    file = EventsFile(path, print)
    other_user.sh(f"mv way/events way/moved; ln -s {victim / 'precious'} way/events")
    file.write(b"line\n")
    file.close()
    assert path.with_name("moved").read_bytes() == b"line\n"


#: What another user puts in the place of a file right before it is opened.
EXCHANGES = ["ln -s {precious} new", ">new", "mkdir new"]


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_file_that_is_exchanged_while_it_is_opened(
    other_user: OtherUser, victim: Path, monkeypatch: pytest.MonkeyPatch, exchange: str, there: bool
) -> None:
    path = other_user.home / "new"
    if there:
        path.touch()
    opens = Place.open

    def exchanged(place: Place, flags: int, mode: int = 0o666) -> int:
        other_user.sh("rm -f new; " + exchange.format(precious=victim / "precious"))
        return opens(place, flags, mode)

    monkeypatch.setattr(Place, "open", exchanged)
    with pytest.raises(EventsFileError):
        EventsFile(path, print)


def test_a_second_name_of_what_is_opened(
    other_user: OtherUser, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its only other name may be gone again when it is looked at."""
    path = other_user.home / "new"
    path.touch()
    opens = Place.open

    def exchanged(place: Place, flags: int, mode: int = 0o666) -> int:
        path.unlink()
        path.hardlink_to(victim / "precious")
        fd = opens(place, flags, mode)
        path.unlink()
        return fd

    monkeypatch.setattr(Place, "open", exchanged)
    with pytest.raises(EventsFileError, match="another file has just been put there"):
        EventsFile(path, print)


def test_a_second_name_of_a_file_of_root(victim: Path, sticky: Path) -> None:
    """A kernel may let any user make one."""
    (sticky / "events").hardlink_to(victim / "precious")
    with pytest.raises(EventsFileError, match="a hard link"):
        EventsFile(sticky / "events", print)
    (victim.parent / "third").hardlink_to(victim / "precious")
    EventsFile(victim.parent / "third", print).close()  # in a folder of one's own it is one's own


def test_a_link_that_takes_the_place_of_a_fifo_later(
    other_user: OtherUser, victim: Path, sticky: Path
) -> None:
    other_user.sh("mkfifo events")
    notes: list[str] = []
    reader = os.open(other_user.home / "events", os.O_RDONLY | os.O_NONBLOCK)
    file = EventsFile(other_user.home / "events", notes.append)
    os.close(reader)
    file.write(b"1\n")
    other_user.sh(f"rm events; ln -s {victim / 'precious'} events")
    file.write(b"2\n")
    file.write(b"3\n")
    file.close()
    assert sum("no longer written" in note for note in notes) == 1


def write(path: Path) -> None:
    file = EventsFile(path, print)
    file.write(b"line\n")
    file.close()


def test_files_and_links_of_ones_own(other_user: OtherUser, tmp_path: Path, sticky: Path) -> None:
    """As root, in the folder of the user who called sudo; and in /tmp."""
    (tmp_path / "link").symlink_to("file")
    for path, file in (
        (tmp_path / "link", tmp_path / "file"),
        (other_user.home / "events", other_user.home / "events"),
        (sticky / "events", sticky / "events"),
    ):
        for _ in range(2):
            write(path)
        assert file.read_bytes() == b"line\nline\n"


def test_what_is_open_already(other_user: OtherUser, tmp_path: Path) -> None:
    """The shell opened it, and the user chose it, wherever it is and whose it may be."""
    other_user.sh("echo theirs >file")
    (tmp_path / "link").symlink_to("/dev/fd/200")
    with (other_user.home / "file").open("ab") as theirs:
        reader, pipe = os.pipe()
        for opened in (theirs.fileno(), pipe):
            write(Path(f"/dev/fd/{opened}"))
            os.dup2(opened, 200)
            write(tmp_path / "link")
            os.close(200)
        assert os.read(reader, 100) == b"line\n" * 2
        os.close(reader)
        os.close(pipe)
    assert (other_user.home / "file").read_bytes() == b"theirs\n" + b"line\n" * 2
    (tmp_path / "null").symlink_to("/dev/null")
    for path in (Path("/dev/null"), tmp_path / "null"):
        write(path)


@pytest.mark.parametrize("linked", [False, True])
def test_a_fifo(other_user: OtherUser, tmp_path: Path, linked: bool) -> None:
    other_user.sh("mkfifo theirs")
    os.mkfifo(tmp_path / "own")
    for fifo in (other_user.home / "theirs", tmp_path / "own"):
        path = fifo
        if linked:
            path = tmp_path / f"to-{fifo.name}"
            path.symlink_to(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        write(path)
        assert os.read(reader, 100) == b"line\n"
        os.close(reader)
