"""Brings a guest back when losttick dies in the middle of its trials. Run as a script.

losttick may be killed while the guest is stopped, and while a snapshot of losttick's is on the
guest's disks. This process outlives losttick. It has a copy of the connection to QEMU's monitor,
which QEMU gives to one client at a time, and touches it only once losttick is gone: then it
continues the guest and deletes the snapshot. A lost connection is made anew.

Usage: guardian.py LIFELINE_FD SNAPSHOT unix PATH FD
       guardian.py LIFELINE_FD SNAPSHOT virsh COMMAND...

The lifeline is a pipe whose other end only losttick has. If losttick writes a byte to it, all is
well, and this process ends with 0 without touching QEMU. Otherwise it ends with 0 when the guest
is as it was, with 3 when QEMU is gone, and with 1 when it could not bring the guest back; a line on
standard error says what was done.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, Protocol

#: Longest time for all that is to be done. QEMU first ends a save or a load that goes on.
PATIENCE_S = 180.0

#: Time until a second look. A command that losttick gave last may be carried out after its end.
SETTLE_S = 1.0

#: Longest time for a connection to come back.
AGAIN_S = 30.0

#: Run states in which saves and loads leave a guest.
HALTED = ("paused", "save-vm", "restore-vm", "postmigrate", "finish-migrate")


#: An answer, as QMP has it.
Answer = dict[str, Any]


class GoneError(Exception):
    """QEMU has ended."""


class Link(Protocol):
    """A way to QEMU's monitor."""

    def execute(self, command: str, arguments: Answer, until: float) -> Answer:
        """Return the answer to a command, as QMP has it.

        Raises:
            GoneError: QEMU has ended.
            TimeoutError: there was no answer until a moment of the monotonic clock, in seconds.
        """
        ...


class Socket:
    """QEMU's monitor by its Unix socket."""

    def __init__(self, path: str, fd: int) -> None:
        self._path = path
        self._stream = socket.socket(fileno=fd)
        self._rest = b""
        self._number = 0
        with contextlib.suppress(OSError):  # a lost connection shows itself at the first command
            # losttick may have died in the middle of a line: this byte ends it, as an error.
            self._send(b"\xff\n")

    def execute(self, command: str, arguments: Answer, until: float) -> Answer:
        """Return the answer to a command; see `Link.execute`."""
        while True:
            try:
                return self._ask(command, arguments, until)
            except OSError:
                self._connect(until)

    def _ask(self, command: str, arguments: Answer, until: float) -> Answer:
        self._number += 1
        asked = {"execute": command, "arguments": arguments, "id": f"guardian-{self._number}"}
        self._send(json.dumps(asked).encode() + b"\n")
        while True:
            answer = self._line(until)
            if answer.get("id") == asked["id"]:
                return answer

    def _send(self, data: bytes) -> None:
        self._stream.settimeout(10)
        self._stream.sendall(data)

    def _line(self, until: float) -> Answer:
        while b"\n" not in self._rest:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._stream.settimeout(left)
            data = self._stream.recv(65536)
            if not data:
                raise ConnectionError
            self._rest = (self._rest + data)[-(1 << 24) :]
        line, self._rest = self._rest.split(b"\n", 1)
        try:
            answer = json.loads(line)
        except ValueError:
            return {}
        return answer if isinstance(answer, dict) else {}

    def _connect(self, until: float) -> None:
        """Connect anew; raise GoneError if nobody listens any more."""
        again = min(until, time.monotonic() + AGAIN_S)
        while True:
            if time.monotonic() > again:
                raise TimeoutError
            self._stream.close()
            self._stream, self._rest = socket.socket(socket.AF_UNIX), b""
            try:
                self._stream.settimeout(5)
                self._stream.connect(self._path)
                self._line(time.monotonic() + 5)  # the greeting
                self._ask("qmp_capabilities", {}, time.monotonic() + 5)
                return
            except (ConnectionRefusedError, FileNotFoundError):
                raise GoneError from None
            except OSError:
                time.sleep(0.2)


class Virsh:
    """QEMU's monitor by way of libvirt."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command

    def execute(self, command: str, arguments: Answer, until: float) -> Answer:
        """Return the answer to a command; see `Link.execute`."""
        asked = json.dumps({"execute": command, "arguments": arguments})
        while True:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            try:
                done = subprocess.run(
                    [*self._command, asked],
                    stdin=subprocess.DEVNULL, capture_output=True, check=False,
                    timeout=left, env={**os.environ, "LC_ALL": "C"},
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                raise TimeoutError from None
            if done.returncode == 0:
                answer = json.loads(done.stdout)
                return answer if isinstance(answer, dict) else {}
            if any(words in done.stderr for words in (b"is not running", b"failed to get domain")):
                raise GoneError
            time.sleep(0.5)


def bring_back(link: Link, snapshot: str) -> Sequence[str]:
    """Continue the guest if it was left stopped, and delete the snapshot; return what was done.

    Raises:
        GoneError: QEMU has ended.
        OSError: QEMU did not answer, or the snapshot could not be deleted.
    """
    until = time.monotonic() + PATIENCE_S
    done = _set_right(link, snapshot, until)
    time.sleep(SETTLE_S)
    return list(dict.fromkeys([*done, *_set_right(link, snapshot, until)]))


def _set_right(link: Link, snapshot: str, until: float) -> Sequence[str]:
    """Do what `bring_back` says, once."""
    done = []
    state = _state(link, until)
    if state in HALTED:
        link.execute("cont", {}, until)
        state = _state(link, until)
        done.append("continued the guest" if state == "running" else f"the guest is {state!r}")
    elif state != "running":
        done.append(f"left the guest as QEMU has it ({state!r})")
    if snapshot in _snapshots(link, until):
        said = _human(link, f"delvm {snapshot}", until)
        if snapshot in _snapshots(link, until):
            raise OSError(f"the snapshot is still there: {said.strip()[:200]}")
        done.append("deleted its snapshot")
    return done


def _state(link: Link, until: float) -> str:
    return str(link.execute("query-status", {}, until).get("return", {}).get("status"))


def _snapshots(link: Link, until: float) -> set[str]:
    """Return the names of the snapshots on all disks."""
    drives = link.execute("query-block", {}, until).get("return", [])
    images = [(drive.get("inserted") or {}).get("image", {}) for drive in drives]
    return {str(each.get("name")) for image in images for each in image.get("snapshots", [])}


def _human(link: Link, line: str, until: float) -> str:
    answer = link.execute("human-monitor-command", {"command-line": line}, until)
    return str(answer.get("return", answer.get("error", {}).get("desc", "")))


def main() -> int:
    """Wait for losttick's end or its word; return the exit code."""
    lifeline, snapshot, kind = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    if os.read(lifeline, 1):
        return 0
    try:
        link: Link = (
            Virsh(sys.argv[4:]) if kind == "virsh" else Socket(sys.argv[4], int(sys.argv[5]))
        )
        words, code = "; ".join(bring_back(link, snapshot)) or "the guest was as before", 0
    except GoneError:
        words, code = "QEMU has ended", 3
    except Exception as error:
        words, code = (
            (
                f"could not bring the guest back ({type(error).__name__}: {error}). Continue it "
                f"(`cont`, `virsh resume`) and delete the snapshot (`delvm {snapshot}`) by hand"
            ),
            1,
        )
    with contextlib.suppress(OSError):
        os.write(2, f"losttick: after its end: {words}\n".encode("ascii", "backslashreplace"))
    return code


if __name__ == "__main__":
    sys.exit(main())
