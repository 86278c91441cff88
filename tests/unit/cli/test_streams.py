"""The streams of a command: dead, closed, full, or read by nobody."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli import root
from orchestrator.cli.exits import ExitCode
from orchestrator.cli.streams import ROOM, StandardError
from tests.support.command import losttick_command


def losttick(*args: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.run(losttick_command(*args), text=True, check=False, timeout=60, **streams)


@pytest.mark.parametrize(
    ("args", "closed", "code"),
    [
        (("--version",), 0, 0), (("--version",), 1, 141), (("--version",), 2, 0),
        (("rnu",), 1, 2), (("rnu",), 2, 2), (("show", "--bogus"), 2, 2),
    ],
)  # fmt: skip
def test_a_closed_stream_is_one_that_nobody_reads(
    args: tuple[str, ...], closed: int, code: int
) -> None:
    done = losttick(*args, preexec_fn=lambda: os.close(closed))
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)


def test_a_file_is_never_opened_as_standard_output(tmp_path: Path) -> None:
    """The first file would get its number, and then the output of each program."""
    program = (
        "import os, sys\n"
        "from orchestrator.cli.streams import Streams\n"
        "streams = Streams()\n"
        f"print(os.open({str(tmp_path / 'file')!r}, os.O_CREAT), file=sys.stderr)\n"
        "streams.give_back()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, check=True,
        preexec_fn=lambda: os.closerange(0, 2),
    )  # fmt: skip
    assert int(done.stderr) > 2


def test_a_socket_whose_peer_is_gone_reads_nothing() -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    assert losttick("--version", stdout=theirs).returncode == 141
    theirs.close()


def test_somebody_made_stdout_non_blocking() -> None:
    """A pipe that is full for a moment takes the rest later."""
    read, write = os.pipe()
    fill(write)
    os.set_blocking(write, False)
    with subprocess.Popen(losttick_command("--help"), stdout=write) as process:
        os.close(write)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        with os.fdopen(read, "rb") as pipe:
            text = pipe.read()
        assert process.wait(60) == 0
    assert b"lists the options of a command." in text


def test_a_reader_that_does_not_read_stderr_stops_nobody() -> None:
    read, write = os.pipe()
    error = StandardError()
    error._descriptor = write
    for number in range(3 * ROOM // 100):
        error.write(f"{number:99}\n")
    error.settle(0.1)
    said = b""
    with os.fdopen(read, "rb", 0) as pipe:
        while error._waiting or error._busy:
            if select.select([pipe], [], [], 0.1)[0]:
                said += pipe.read(65536)
        error.write("the last\n")
        while not said.endswith(b"the last\n"):
            said += pipe.read(65536)
    assert b"pieces of output were left out]\n" in said
    assert 64 * 1024 <= len(said) < 3 * ROOM
    os.close(write)


def fill(write: int) -> None:
    """Fill a pipe that nobody empties."""
    os.set_blocking(write, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(write, b" " * 4096)
    os.set_blocking(write, True)


def test_a_command_ends_although_nobody_reads_its_stderr() -> None:
    read, write = os.pipe()
    fill(write)
    assert losttick("rnu", stderr=write).returncode == 2
    os.close(read)
    os.close(write)


def test_the_root_knows_the_numbers_of_the_exit_codes() -> None:
    assert root._HARNESS == ExitCode.HARNESS
    assert root._UNREAD == ExitCode.BROKEN_PIPE


def test_a_broken_installation_is_no_finding(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ImportError('no module of this name \\x1b[2J')\n")
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    done = losttick("show", "clean", env=os.environ | {"PYTHONPATH": path})
    assert done.returncode == 4
    assert "losttick itself: ImportError: no module of this name \\x1b[2J" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("module", ["orchestrator.cli.root", "typer", "pydantic"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_an_import_is_quiet(module: str, number: signal.Signals) -> None:
    program = (
        "import os, sys\n"
        "from orchestrator.cli import main\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}:\n"
        f"            os.kill(os.getpid(), {number:d})\n"
        "sys.meta_path.insert(0, Finder())\n"
        "sys.argv = ['losttick', 'show', '/none']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL) and None,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def read_now(descriptor: int) -> bytes:
    ready, _, _ = select.select([descriptor], [], [], 30)
    return os.read(descriptor, 1 << 16) if ready else b""


#: Prints a line now, waits until it is told to go on, and prints the rest, if there is more.
FLOWING = (
    "import sys\n"
    "from orchestrator.cli.streams import Streams, print_bytes\n"
    "streams = Streams()\n"
    "print_bytes(b'first\\n', now=True)\n"
    "sys.stdin.read(1)\n"
    "print_bytes(b'second\\n' * {times}, now=True)\n"
    "print('last') if {times} > 1 else None\n"
    "try:\n"
    "    streams.output.deliver()\n"
    "except Exception as error:\n"
    "    print(type(error).__name__, file=sys.stderr)\n"
    "streams.give_back()\n"
)


def flowing(times: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", FLOWING.format(times=times)], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_what_flows_is_written_at_once_and_before_the_rest() -> None:
    with flowing(100_000) as program:  # more than a pipe holds
        assert program.stdout
        assert read_now(program.stdout.fileno()) == b"first\n"
        output, errors = program.communicate(b".")
    assert output == b"second\n" * 100_000 + b"last\n"
    assert errors == b""


def test_a_process_that_must_end_does_not_wait_for_its_reader() -> None:
    """More waits than a pipe holds, and nobody reads."""
    program = (
        "import os, sys\n"
        "from orchestrator.cli.streams import Streams, end_streams, print_bytes\n"
        "streams = Streams()\n"
        "print_bytes(b'x' * 1_000_000, now=True)\n"
        "print('kept')\n"
        "end_streams()\n"
        "os._exit(7)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        try:
            assert process.wait(timeout=30) == 7
        finally:
            process.kill()


def test_the_last_words_of_a_process_are_written() -> None:
    program = (
        "import os\n"
        "from orchestrator.cli.streams import Streams, end_streams, print_bytes\n"
        "streams = Streams()\n"
        "print_bytes(b'flows\\n', now=True)\n"
        "print('kept')\n"
        "end_streams()\n"
        "os._exit(7)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (7, b"flows\nkept\n")


def test_a_reader_of_what_flows_that_goes_away_is_noticed_at_the_end() -> None:
    with flowing(1) as program:
        assert program.stdout
        assert program.stderr
        assert program.stdin
        assert read_now(program.stdout.fileno()) == b"first\n"
        program.stdout.close()
        program.stdin.write(b".")
        program.stdin.close()
        assert program.stderr.read() == b"UnreadError\n"
