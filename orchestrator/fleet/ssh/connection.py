"""A connection to a host: its key is checked, nothing is asked of a person, each error is told."""

import asyncio
import contextlib
import getpass
import inspect
import json
import logging
import shlex
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from orchestrator.errors import InfraError, LosttickError
from orchestrator.fleet.ssh import host_side
from orchestrator.fleet.ssh.address import SSH_PORT, Address
from orchestrator.fleet.ssh.reply import LONGEST_LINE, ReplyError, parse
from orchestrator.results.printable import one_line

if TYPE_CHECKING:
    import asyncssh

#: Seconds to connect, and to log in.
CONNECT_S = 20.0

#: A connection without any answer for so many seconds, so many times, is given up.
KEEPALIVE_S, KEEPALIVES = 15, 4

#: Begins each answer.
MARK = host_side.MARK.encode()

#: Bytes that may come beside answers: greetings of the login shell.
_MOST_NOISE = 1 << 20

#: Bytes of what a host's Python says on standard error that are kept.
_MOST_ERRORS = 8192

Reply = TypeVar("Reply", bound=BaseModel)


class HostError(InfraError):
    """A host can't be worked with, in a sentence."""

    def __init__(self, message: str, *, later: bool = False) -> None:
        super().__init__(message)
        self.later = later
        """True if the host may answer later: it boots, or the network is down."""


class Connection:
    """A host that we are logged in on."""

    def __init__(self, address: Address, connected: "asyncssh.SSHClientConnection") -> None:
        self._address = address
        self._connected = connected
        self._source = inspect.getsource(host_side).encode()

    async def ask(self, verb: str, kind: type[Reply], answer_s: float = 60, **words: Any) -> Reply:
        """Return the one answer of a host.

        Raises:
            HostError: it did not answer.
            FailedThereError: it could not do what it was asked.
            ReplyError: it answered something else.
        """
        answers = self.listen(verb, kind, answer_s=answer_s, **words)
        async with contextlib.aclosing(answers):
            async for reply in answers:
                assert isinstance(reply, kind)
                return reply
        raise HostError(f"{self._address.host.name} did not answer", later=True)

    async def listen(
        self, verb: str, *kinds: type[BaseModel], answer_s: float, **words: Any
    ) -> AsyncGenerator[Any, None]:
        """Yield the answers of a host, as they come.

        Args:
            verb: what it is asked to do.
            kinds: of its answers.
            answer_s: how long each answer may take, in seconds.
            words: the arguments of the verb.

        Raises:
            HostError: it did not answer.
            FailedThereError: it could not do what it was asked.
            ReplyError: it answered something else.
        """
        python = self._address.ssh.python
        command = shlex.join([python, "-I", "-", json.dumps({"verb": verb, **words})])
        with self._told(f"asking {self._address.host.name}"):
            async with self._connected.create_process(command, encoding=None) as process:
                errors = asyncio.create_task(_last_bytes(process.stderr))
                try:
                    process.stdin.write(self._source)
                    process.stdin.write_eof()
                    answers, answered = _Answers(process.stdout, answer_s), False
                    while (answer := await answers.next()) is not None:
                        answered = True
                        yield parse(answer, *kinds)
                    if not answered:
                        await self._silent(await asyncio.wait_for(errors, answer_s), process)
                finally:
                    errors.cancel()
                    process.close()

    async def _silent(self, errors: bytes, process: "asyncssh.SSHClientProcess[bytes]") -> None:
        """Raise the error of a host whose Python answered nothing."""
        name, python = self._address.host.name, self._address.ssh.python
        await asyncio.wait_for(process.wait_closed(), CONNECT_S)
        lines = [line for line in errors.decode("utf-8", "replace").splitlines() if line.strip()]
        said = one_line(lines[-1][:500]) if lines else f"exit code {process.exit_status}"
        if process.exit_status == 127:
            raise HostError(f"{name} has no {python} ({said}): name its Python in [ssh] python")
        if process.exit_status is None:
            raise HostError(f"{name} ended the connection: {said}", later=True)
        raise HostError(f"{python} on {name} failed: {said}")

    @contextlib.asynccontextmanager
    async def sftp(self) -> AsyncIterator["asyncssh.SFTPClient"]:
        """Open a session for files."""
        with self._told(f"moving files of {self._address.host.name}"):
            async with asyncio.timeout(CONNECT_S):
                client = await self._connected.start_sftp_client()
            try:
                yield client
            finally:
                client.exit()

    def abort(self) -> None:
        """End the connection at once. Whatever waits for the host fails."""
        self._connected.abort()

    @contextlib.contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        """Turn what asyncssh raises into sentences."""
        import asyncssh

        try:
            yield
        except LosttickError:
            raise
        except asyncssh.SFTPError as error:
            later = isinstance(error, asyncssh.SFTPConnectionLost | asyncssh.SFTPNoConnection)
            raise HostError(f"{doing}: {one_line(error.reason[:500])}", later=later) from error
        except TimeoutError as error:
            raise HostError(f"{doing}: no answer in time", later=True) from error
        except (asyncssh.Error, OSError, EOFError) as error:
            raise HostError(f"{doing}: {_why(error)}", later=True) from error


class _Answers:
    """The marked lines of a stream, each in time, and all else in bounds."""

    def __init__(self, stream: Any, within_s: float) -> None:
        self._stream, self._within_s = stream, within_s
        self._rest = b""
        self._noise = 0

    async def next(self) -> bytes | None:
        """Return the next answer without its mark; None at the stream's end.

        Raises:
            TimeoutError: it does not come in time.
            ReplyError: too much comes that is no answer.
        """
        async with asyncio.timeout(self._within_s):
            while True:
                line, newline, rest = self._rest.partition(b"\n")
                if newline:
                    self._rest = rest
                    if line.startswith(MARK):
                        return line[len(MARK) :]
                    self._noise += len(line)
                elif block := await self._stream.read(LONGEST_LINE):
                    self._rest += block
                else:
                    return None
                if self._noise > _MOST_NOISE or len(line) > LONGEST_LINE:
                    raise ReplyError("the host prints without end")


async def _last_bytes(stream: Any) -> bytes:
    """Read a stream to its end, and return the last of it."""
    kept = b""
    while block := await stream.read(_MOST_ERRORS):
        kept = (kept + block)[-_MOST_ERRORS:]
    return kept


@contextlib.asynccontextmanager
async def connect(address: Address) -> AsyncIterator[Connection]:
    """Log in on a host.

    Raises:
        HostError: that can't be done, with what mends it.
    """
    connected = await _connected(address)
    try:
        yield Connection(address, connected)
    finally:
        connected.abort()
        with contextlib.suppress(Exception):
            await asyncio.wait_for(connected.wait_closed(), 5)


@dataclass(frozen=True, slots=True)
class _Offered:
    """A key that a host has, and that is not known."""

    host: str
    addr: str
    port: int
    key: "asyncssh.SSHKey"


async def _connected(address: Address) -> "asyncssh.SSHClientConnection":
    try:
        import asyncssh
    except ImportError:
        raise InfraError("SSH needs asyncssh: install losttick[fleet]") from None
    asyncssh.set_log_level(logging.CRITICAL)  # what matters is raised

    offered: list[_Offered] = []

    class Client(asyncssh.SSHClient):
        """Notes a key that is not known, and refuses it."""

        def validate_host_public_key(
            self, host: str, addr: str, port: int, key: asyncssh.SSHKey
        ) -> bool:
            offered.append(_Offered(host, addr, port, key))
            return False

    named: dict[str, Any] = {}
    if address.port:
        named["port"] = address.port
    if address.ssh.user:
        named["username"] = address.ssh.user
    files = [str(path) for path in address.known_hosts if path.is_file()]
    name, at = address.host.name, f"connecting to {address.host.name}"
    if address.name != name:
        at += f" ({address.name})"
    try:
        async with asyncio.timeout(2 * CONNECT_S):
            return await asyncssh.connect(
                address.name, **named, client_factory=Client,
                known_hosts=asyncssh.read_known_hosts(files),
                password=None, password_auth=False, kbdint_auth=False,
                connect_timeout=CONNECT_S, login_timeout=CONNECT_S,
                keepalive_interval=KEEPALIVE_S, keepalive_count_max=KEEPALIVES,
                agent_forwarding=False, x11_forwarding=False, request_pty=False,
            )  # fmt: skip
    except asyncssh.HostKeyNotVerifiable as error:
        raise HostError(f"{at}: {_key_trouble(address, files, offered, error)}") from error
    except asyncssh.KeyExchangeFailed as error:
        raise HostError(f"{at}: {_exchange_trouble(address, error)}") from error
    except asyncssh.PermissionDenied as error:
        raise HostError(
            f"{at}: it accepts no key of yours for the user {address.ssh.user or _user()}. "
            f"`ssh-add -l` lists the keys of your agent; try `{address.command}`"
        ) from error
    except socket.gaierror as error:
        raise HostError(
            f"{at}: the name is unknown ({error.strerror}). Give its address in [[hosts]]"
        ) from error
    except ConnectionRefusedError as error:
        raise HostError(f"{at}: refused: no SSH server listens there", later=True) from error
    except TimeoutError as error:
        raise HostError(f"{at}: no answer within {CONNECT_S:g} s", later=True) from error
    except (asyncssh.Error, OSError, EOFError, ValueError) as error:
        later = not isinstance(error, ValueError)
        raise HostError(f"{at}: {_why(error)}", later=later) from error


def _why(error: Exception) -> str:
    """Return what an error says, without its number."""
    words = (isinstance(error, OSError) and error.strerror) or str(error)
    return one_line(words[:500]) or "the connection was lost"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "that ~/.ssh/config names"


def _key_trouble(
    address: Address, files: list[str], offered: "list[_Offered]", error: Exception
) -> str:
    """Return what is wrong with the key of a host, and what mends it."""
    import asyncssh

    if not offered:
        return f"its host key is refused: {one_line(str(error)[:300])}"
    last = offered[-1]
    port = None if last.port == SSH_PORT else last.port
    name = f"[{last.host}]:{port}" if port else last.host
    seen = f"{last.key.get_algorithm()} {last.key.get_fingerprint()}"
    for file in files:
        known, *_ = asyncssh.match_known_hosts(file, last.host, last.addr, port)
        if known:
            mends = shlex.join(["ssh-keygen", "-f", file, "-R", name])
            return (
                f"its host key CHANGED, to {seen}. Somebody may be between you and the host. If "
                f"it was installed anew, compare that with the host's own, run `{mends}`, and "
                f"connect once with `{address.command}`"
            )
    return (
        f"its host key is not known: {seen}. Compare that with the host's own, and connect once "
        f"with `{address.command}`"
    )


def _exchange_trouble(address: Address, error: Exception) -> str:
    return (
        f"no common cryptography ({one_line(str(error)[:300])}). If it was installed anew, its "
        f"host key may have changed: try `{address.command}`"
    )
