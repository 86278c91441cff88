"""A run is brought as a whole, resumed where it was cut short, and believed only by its digests."""

import contextlib
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import LosttickError
from orchestrator.fleet.ssh.bring import bring
from orchestrator.fleet.ssh.connection import HostError
from orchestrator.fleet.ssh.reply import File, Files, ReplyError
from orchestrator.journal.out_folder import OutFolder
from orchestrator.process.folder import Disk


class Host:
    """A host with files, which may lie about them, and goes away after some bytes."""

    def __init__(self, **files: bytes) -> None:
        self.files = {
            name.replace("__", "/").replace("_", "."): each for name, each in files.items()
        }
        self.said = dict(self.files)
        self.odd = 0
        self.most = 1 << 30
        self.read_bytes = 0
        self.path = ""

    async def listen(self, verb: str, *_: object, **__: object) -> AsyncIterator[object]:
        assert verb == "manifest"
        for path, content in self.said.items():
            digest = hashlib.sha256(content).hexdigest()
            yield File(path=path, size=len(content), sha256=digest)
        yield Files(files=len(self.said), odd=self.odd)

    @contextlib.asynccontextmanager
    async def sftp(self) -> AsyncIterator["Host"]:
        yield self

    @contextlib.asynccontextmanager
    async def open(self, path: str, mode: str) -> AsyncIterator["Host"]:
        assert mode == "rb"
        self.path = path.removeprefix("/job/run/")
        yield self

    async def read(self, size: int, offset: int) -> bytes:
        if self.read_bytes >= self.most:
            raise HostError("the connection was lost", later=True)
        block = self.files[self.path][offset : offset + min(size, 1000)]
        self.read_bytes += len(block)
        return block


async def bring_from(host: Any, to: Path) -> str:
    return await bring(host, "/job", to)


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


JOURNAL = bytes(range(256)) * 20


async def test_all_files_are_brought_and_later_only_what_is_new(tmp_path: Path) -> None:
    host = Host(journal_jsonl=JOURNAL, evidence__0001__why_txt=b"why")
    assert await bring_from(host, tmp_path / "run") == ""
    assert content(tmp_path / "run") == host.files
    host.said["journal.jsonl"] = host.files["journal.jsonl"] = JOURNAL + b"more"
    host.read_bytes, host.odd = 0, 2
    assert await bring_from(host, tmp_path / "run") == "2 links or devices were not brought"
    assert content(tmp_path / "run") == host.files
    assert host.read_bytes == 4


async def test_what_was_cut_short_is_resumed(tmp_path: Path) -> None:
    host = Host(journal_jsonl=JOURNAL)
    host.most = 3000
    with pytest.raises(HostError):
        await bring_from(host, tmp_path)
    assert list(content(tmp_path)) == ["journal.jsonl.part"]
    host.most, host.read_bytes = 1 << 30, 0
    await bring_from(host, tmp_path)
    assert content(tmp_path) == {"journal.jsonl": JOURNAL}
    assert host.read_bytes == len(JOURNAL) - 3000


async def test_a_beginning_that_is_another_is_brought_anew(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_bytes(b"other")
    (tmp_path / "console.part").write_bytes(b"x" * 9000)
    host = Host(journal_jsonl=JOURNAL, console=b"text")
    await bring_from(host, tmp_path)
    assert content(tmp_path) == host.files


@pytest.mark.parametrize("given", [b"another", b"short", b"longer than was said"])
async def test_a_file_that_is_not_what_was_said_is_refused(tmp_path: Path, given: bytes) -> None:
    host = Host(file=b"what was")
    host.files["file"] = given
    if len(given) > 8:

        async def too_much(_: int, offset: int) -> bytes:
            return given[offset:]

        host.read = too_much  # type: ignore[method-assign]
    with pytest.raises(ReplyError, match="file is not what the host says that it is"):
        await bring_from(host, tmp_path)
    assert content(tmp_path) == {}


async def test_a_host_that_names_files_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = 0

    async def listen(*_: object, **__: object) -> AsyncIterator[object]:
        nonlocal named
        while named < 1000:
            named += 1
            yield File(path=str(named), size=0, sha256="0" * 64)

    monkeypatch.setattr("orchestrator.fleet.ssh.bring.MOST_FILES", 9)
    host = Host()
    host.listen = listen  # type: ignore[method-assign, assignment]
    with pytest.raises(ReplyError, match="more than 9 files"):
        await bring_from(host, tmp_path)
    assert named == 10


async def test_no_link_here_is_followed(tmp_path: Path) -> None:
    (tmp_path / "away").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "evidence").symlink_to(tmp_path / "away")
    with pytest.raises(LosttickError):
        await bring_from(Host(evidence__x=b"1"), tmp_path / "run")
    assert content(tmp_path / "away") == {}


async def test_more_than_there_is_room_for_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OutFolder, "disk", Disk(free_bytes=3, size_bytes=9))
    host = Host(file=b"1234")
    with pytest.raises(LosttickError, match="4 bytes have no room there"):
        await bring_from(host, tmp_path)
    assert host.read_bytes == 0
