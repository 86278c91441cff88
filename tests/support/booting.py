"""SSH hosts that boot: with kernels by name, a boot loader, and a boot id that changes."""

import contextlib
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support.places import ROOT
from tests.support.shim import build_library
from tests.support.ssh_hosts import SshHost

#: Stands for the entry that is booted when none is named.
DEFAULT = ""


def other_host(place: Path, host: Path) -> dict[str, str]:
    """Return the environment of a host that has a kernel and a boot of its own."""
    library = place / "other_host.so"
    if not library.exists():
        build_library(ROOT / "tests" / "e2e" / "other_host.c", place)
    return {"LD_PRELOAD": str(library), "OTHER_HOST": str(host)}


class Booting:
    """The firmware and the boot loader of a host."""

    def __init__(self, host: SshHost, entries: Mapping[str, str]) -> None:
        """Let the host run its default kernel.

        Args:
            host: of `ssh_fleet`.
            entries: the release of the kernel by the name of its entry; `DEFAULT` is one.
        """
        self.host, self.entries = host, entries
        self.boots: list[str] = []
        """The entries that were booted."""
        self.dead = False
        """True if the host stays down from the next boot on."""
        self._over = threading.Event()
        host.program("grub-reboot", f'printf %s "$1" > {host.path}/next')
        host.program("reboot", f": > {host.path}/reboot")
        for name in ("grub-reboot", "reboot"):  # never those of this computer
            assert host.which(name) == str(host.bin / name)
        self._run(DEFAULT)

    def _run(self, entry: str) -> None:
        release = self.entries.get(entry, self.entries[DEFAULT])
        (self.host.path / "release").write_text(release)
        (self.host.path / "boot_id").write_text(f"{uuid.uuid4()}\n")

    def boot(self) -> None:
        """Boot the host, as after a power failure."""
        self.host.crash()
        chosen = self.host.path / "next"
        entry = chosen.read_text() if chosen.exists() else DEFAULT
        chosen.unlink(missing_ok=True)  # an entry is chosen for one boot
        self.boots.append(entry)
        if not self.dead:
            self._run(entry)
            self.host.start()

    def _serve(self) -> None:
        asked = self.host.path / "reboot"
        while not self._over.wait(0.1):
            if asked.exists():
                asked.unlink()
                time.sleep(0.3)  # the answer gets out
                self.boot()

    @contextlib.contextmanager
    def on(self) -> Iterator["Booting"]:
        """Boot the host whenever it asks for that."""
        thread = threading.Thread(target=self._serve)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join()
