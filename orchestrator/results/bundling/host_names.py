"""The names of this computer and of its domain, from files: a name server may not answer."""

import contextlib
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

from orchestrator.host.boot import HOST_NAME

_ETC = Path("/etc")

#: NIS's name of the domain, in Linux; `(none)` if there is none.
_DOMAIN_NAME = Path("/proc/sys/kernel/domainname")


def host_names(etc: Path = _ETC, here: str | None = None) -> set[str]:
    """Return the names of this computer, with their domains and without.

    Args:
        etc: the folder of the system's settings.
        here: the name of this computer; None to ask the kernel.
    """
    found = {here} if here is not None else {socket.gethostname(), *_words(Path(HOST_NAME))}
    found.update(_words(etc / "hostname"))
    first = {name.partition(".")[0].lower() for name in found}
    for _, *names in map(str.split, _lines(etc / "hosts")):
        # 127.0.1.1 build01.corp.example build01
        if any(name.partition(".")[0].lower() in first for name in names):
            found.update(names)
    return found | {name.partition(".")[0] for name in found}


def domains(names: Iterable[str], etc: Path | None = _ETC) -> set[str]:
    """Return the domains of this computer, and those above them, down to two labels.

    Args:
        names: the names of this computer.
        etc: the folder of the system's settings; None to go by the names alone.
    """
    found = {name.partition(".")[2] for name in names}
    if etc:
        found.update(_words(_DOMAIN_NAME))
        for key, *values in map(str.split, _lines(etc / "resolv.conf")):
            if key in ("search", "domain"):
                found.update(values)
    labels = [name.strip(".").split(".") for name in found]
    return {".".join(each[at:]) for each in labels for at in range(len(each) - 1)}


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file that say something, without comments; none if there is no file."""
    with contextlib.suppress(OSError):
        for line in path.read_text(errors="replace").splitlines():
            if said := line.partition("#")[0].strip():
                yield said


def _words(path: Path) -> list[str]:
    return [word for line in _lines(path) for word in line.split()]
