"""The output of a program in a lab, and of the lab's serial port, as losttick keeps it."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from orchestrator.lab.emulator import boot as module
from orchestrator.lab.emulator.bochs import Bochs
from orchestrator.lab.emulator.boot import Lab, LabError
from orchestrator.lab.host.frames import Frame
from orchestrator.lab.host.process import LabQemu


@pytest.fixture
async def program() -> AsyncIterator[LabQemu]:
    made = LabQemu(cast(Any, SimpleNamespace()), cast(Any, SimpleNamespace()), 1)
    yield made
    for stream in (made.qmp, made._qmp_theirs, *made.consoles, made._console_theirs):
        stream.close()


def said(program: LabQemu, data: bytes) -> None:
    program.hear(Frame(b"e", 1, 0, data))


async def test_the_lines_of_a_program_are_read_as_they_come(program: LabQemu) -> None:
    lines: list[str] = []

    async def read() -> None:
        lines.extend([line async for line in program.output_lines()])

    reading = asyncio.create_task(read())
    for piece in (b"one\ntw", b"", b"o\n", b"three\n"):
        said(program, piece)
        await asyncio.sleep(0)
    program.end(0)
    await reading
    assert lines == ["one", "two", "three"]


async def test_a_line_without_an_end_is_cut(program: LabQemu) -> None:
    lines: list[str] = []

    async def read() -> None:
        lines.extend([line async for line in program.output_lines()])

    reading = asyncio.create_task(read())
    for _ in range(200):
        said(program, b"x" * 4096)
        await asyncio.sleep(0)
    program.end(0)
    await reading
    assert max(map(len, lines)) < 100_000
    assert sum(map(len, lines)) <= 200 * 4096


async def test_what_a_program_prints_and_nobody_reads_costs_little_memory(
    program: LabQemu,
) -> None:
    for number in range(20_000):
        said(program, b"%d\n" % number)
    program.end(0)
    lines = [line async for line in program.output_lines()]
    assert 0 < len(lines) < 2_000
    assert lines[-1] == "19999"
    assert (await program.exited()).stderr.endswith("19999\n")


@pytest.fixture
def boots(monkeypatch: pytest.MonkeyPatch) -> Callable[[Iterable[bytes]], Lab]:
    """Return a lab whose serial port says some bytes, and nothing more."""

    def lab(said: Iterable[bytes]) -> Lab:
        async def supervise(*_: object, **options: Any) -> SimpleNamespace:
            for chunk in said:
                options["on_output"](chunk)

            async def never() -> None:
                await asyncio.Event().wait()

            async def kill() -> None:
                pass

            return SimpleNamespace(exited=never, kill=kill, pid=os.getpid())

        monkeypatch.setattr(module, "supervise", supervise)
        return Lab(Bochs(Path("bochs"), Path("bios"), Path("vga"), "a Bochs of the test's"), b"")

    return lab


PANIC = b"Kernel panic - not syncing\r\n"


async def test_the_last_lines_of_the_serial_port_are_kept(
    boots: Callable[[Iterable[bytes]], Lab],
) -> None:
    lab = boots([*(b"line %d\r\n" % number for number in range(1000)), PANIC])
    with pytest.raises(LabError) as failed:
        async for _ in lab.lines():
            pass
    assert str(failed.value).splitlines()[1:] == [
        *(f"  line {number}" for number in range(989, 1000)),
        "  Kernel panic - not syncing",
    ]
    assert len(lab.serial) == 12


async def test_a_line_that_never_ends_is_cut(boots: Callable[[Iterable[bytes]], Lab]) -> None:
    lab = boots([*[b"\xff" * 1000] * 1000, b"\n", PANIC])
    with pytest.raises(LabError, match="its kernel panicked"):
        async for _ in lab.lines():
            pass
    assert max(map(len, lab.serial)) < 6_000
