"""Hosts that stand still, played by a real SSH server in this process."""

import asyncio
import contextlib
import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest

from orchestrator.fleet.fleet_file import Host, Ssh
from orchestrator.fleet.ssh.address import Address
from orchestrator.fleet.ssh.bring import bring
from orchestrator.fleet.ssh.connection import Connection, HostError
from orchestrator.fleet.ssh.reply import File, Files
from orchestrator.fleet.ssh.upload import upload

pytestmark = pytest.mark.timeout(30)


class Still(asyncssh.SFTPServer):
    """A server that opens files, and neither gives nor takes any byte."""

    async def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        return io.BytesIO()

    async def close(self, file_obj: object) -> None:
        await asyncio.Event().wait()

    async def read(self, file_obj: object, offset: int, size: int) -> bytes:
        await asyncio.Event().wait()
        return b""

    async def write(self, file_obj: object, offset: int, data: bytes) -> int:
        await asyncio.Event().wait()
        return 0


class Mute(asyncssh.SSHServerSession[bytes]):
    """A session that is begun and never answers."""

    def subsystem_requested(self, subsystem: str) -> bool:
        return True


@contextlib.asynccontextmanager
async def connected(*, mute: bool = False) -> AsyncIterator[Connection]:
    """Start a server that lets everybody in, and connect to it."""
    accepted: list[asyncssh.SSHServerConnection] = []

    class Open(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            accepted.append(conn)

        def begin_auth(self, username: str) -> bool:
            return False

        def session_requested(self) -> Mute | bool:
            return Mute() if mute else False

    key = asyncssh.generate_private_key("ssh-ed25519")
    listening = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Open,
        server_host_keys=[key],
        sftp_factory=None if mute else Still,
    )
    client = await asyncssh.connect(
        "127.0.0.1", listening.get_port(), known_hosts=None, username="x", client_keys=[]
    )
    try:
        yield Connection(Address(Host(name="node1"), Ssh(), ()), client)
    finally:
        client.abort()
        for each in accepted:
            each.abort()
        listening.close()
        await listening.wait_closed()
        await asyncio.gather(*(each.wait_closed() for each in (client, *accepted)))


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.fleet.ssh.still.BLOCK_S", 0.2)
    monkeypatch.setattr("orchestrator.fleet.ssh.connection.CONNECT_S", 0.2)


async def test_a_host_that_takes_nothing_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "wheel").write_bytes(b"1" * 100)
    async with connected() as host:
        with pytest.raises(HostError, match="bringing wheel there: the host did nothing") as said:
            await upload(host, tmp_path / "wheel", str(tmp_path / "there"))
    assert not said.value.later


async def test_a_host_that_gives_nothing_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "journal").write_bytes(b"1")

    async def listen(*_: object, **__: object) -> AsyncIterator[object]:
        yield File(path="journal", size=1, sha256=hashlib.sha256(b"1").hexdigest())
        yield Files(files=1, odd=0)

    async with connected() as host:
        host.listen = listen  # type: ignore[method-assign, assignment]
        with pytest.raises(HostError, match="reading journal there: the host did nothing") as said:
            await bring(host, str(tmp_path), tmp_path / "here")
    assert not said.value.later


async def test_a_host_that_opens_no_session_for_files_is_given_up(tmp_path: Path) -> None:
    async with connected(mute=True) as host:
        with pytest.raises(HostError, match="moving files of node1: no answer in time") as said:
            await upload(host, tmp_path / "wheel", "there")
    assert said.value.later
