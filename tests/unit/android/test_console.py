"""The console's client against peers that answer badly, late or never."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from orchestrator.android.console import Console, Times
from orchestrator.android.errors import (
    ConsoleClosedError,
    ConsoleError,
    ConsoleTimeoutError,
    NoConsoleError,
    RefusedError,
    WrongTokenError,
)

GREETING = b"Android Console: type 'help' for a list of commands\r\nOK\r\n"

LOCKED = (
    b"Android Console: Authentication required\r\n"
    b"Android Console: type 'auth <auth_token>' to authenticate\r\n"
    b"Android Console: you can find your <auth_token> in \r\n"
    b"'/home/user/.emulator_console_auth_token'\r\nOK\r\n"
)

TIMES = Times(command_s=1, state_s=1)

Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def peer(greeting: bytes, answer: Answer | None = None) -> AsyncIterator[int]:
    """Give the port of a console that answers each line in some way."""

    serving = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        with contextlib.closing(writer), contextlib.suppress(OSError):
            writer.write(greeting)
            while (line := await reader.readline()) and not writer.is_closing():
                if answer:
                    await answer(line.rstrip(), writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in filter(None, serving):
            task.cancel()
        await asyncio.gather(*filter(None, serving), return_exceptions=True)
        await asyncio.sleep(0.01)  # closed streams are let go


def says(answers: Mapping[bytes, bytes]) -> Answer:
    async def answer(line: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answers.get(line, b"KO: unknown command, try 'help'\r\n"))

    return answer


@contextlib.asynccontextmanager
async def connected(port: int, token: Path | None = None) -> AsyncIterator[Console]:
    console = await Console.connect(port, token, TIMES)
    try:
        yield console
    finally:
        await console.close()


async def test_it_authenticates_and_asks(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    answers = says({
        b"auth s3cret": GREETING,
        b"avd heartbeat": b"heartbeat: 41\r\nOK\r\n",
        b"avd status": b"virtual device is stopped\r\nOK\r\n",
        b"avd snapshot list": b"ID TAG\r\n-- losttick-1 49 MiB\r\nOK\r\n",
        b"avd snapshot save losttick-1": b"OK\r\n",
    })  # fmt: skip
    async with peer(LOCKED, answers) as port, connected(port, token) as console:
        assert await console.heartbeat() == 41
        assert await console.stopped()
        assert await console.has("losttick-1")
        assert not await console.has("losttick-2")
        await console.save("losttick-1")
        with pytest.raises(RefusedError, match="unknown command"):
            await console.load("losttick-1")
        assert await console.heartbeat() == 41, "a refusal leaves the connection in order"


async def test_quick_boot_s_snapshot_is_never_named() -> None:
    lines = []

    async def note(line: bytes, writer: asyncio.StreamWriter) -> None:
        lines.append(line)
        writer.write(b"OK\r\n")

    async with peer(GREETING, note) as port, connected(port) as console:
        for act in (console.save, console.load, console.delete):
            with pytest.raises(ValueError, match="default_boot"):
                await act("default_boot")
    assert lines == []


@pytest.mark.parametrize("content", ["wrong", "", None])
async def test_a_wrong_token_is_told_without_it(tmp_path: Path, content: str | None) -> None:
    token = tmp_path / "token"
    if content is not None:
        token.write_text(content)
    refusing = says({})
    async with peer(LOCKED, refusing) as port:
        with pytest.raises(WrongTokenError, match="as the user who started") as told:
            await Console.connect(port, token, TIMES)
    assert "wrong" not in str(told.value).replace(str(tmp_path), "")


async def test_nobody_listens() -> None:
    async with peer(GREETING) as port:
        pass
    with pytest.raises(NoConsoleError, match=f"port {port}"):
        await Console.connect(port, None, TIMES)


@pytest.mark.parametrize(
    ("greeting", "error"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\nOK\r\n", ConsoleError),
        (b"KO: go away\r\n", ConsoleError),
        (b"", ConsoleTimeoutError),
        (b"\x1b[2J" * 50_000, ConsoleTimeoutError),
    ],
)
async def test_another_server_is_no_console(greeting: bytes, error: type[Exception]) -> None:
    async with peer(greeting) as port:
        with pytest.raises(error):
            await Console.connect(port, None, TIMES)


async def test_a_late_answer_is_not_taken_for_the_next_one() -> None:
    async def late(line: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(1.2)
        with contextlib.suppress(OSError):
            writer.write(b"heartbeat: 1\r\nOK\r\n")

    async with peer(GREETING, late) as port, connected(port) as console:
        with pytest.raises(ConsoleTimeoutError, match="no answer in 1 s"):
            await console.heartbeat()
        with pytest.raises(ConsoleTimeoutError):
            await console.stopped()


async def test_the_connection_ends() -> None:
    async def leave(line: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"heart")
        writer.close()

    async with peer(GREETING, leave) as port, connected(port) as console:
        with pytest.raises(ConsoleClosedError, match="closed the connection"):
            await console.heartbeat()


@pytest.mark.parametrize("odd", [b"OK\r\n", b"heartbeat: many\r\nOK\r\n", b"\xff\r\nOK\r\n"])
async def test_an_answer_without_a_number_is_no_heartbeat(odd: bytes) -> None:
    async with peer(GREETING, says({b"avd heartbeat": odd})) as port, connected(port) as console:
        with pytest.raises(ConsoleError, match="no number"):
            await console.heartbeat()
