"""The emulators that run already, from the files by which they announce themselves."""

import itertools
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.android.errors import NotRunningError
from orchestrator.android.sdk import Sdk, read_ini


@dataclass(frozen=True, slots=True)
class Running:
    """An emulator that runs."""

    avd: str
    pid: int
    port: int
    """The console's port."""
    qmp: str | None
    """The Unix socket of QEMU's monitor, if the emulator was started with one."""

    @property
    def serial(self) -> str:
        """Its name for adb."""
        return f"emulator-{self.port}"


def running(sdk: Sdk) -> tuple[Running, ...]:
    """Return the user's running emulators.

    Each writes `avd/running/pid_N.ini` into the user's folder for run-time files, or, without
    one, into the folder of its virtual devices. A file of a process that is gone is left out.
    """
    found = {}
    for folder in _folders(sdk):
        for file in sorted(folder.glob("pid_*.ini")):
            said = re.fullmatch(r"pid_(\d{1,10})\.ini", file.name)
            pairs = read_ini(file)
            port = _port(pairs.get("port.serial", ""))
            if said and port and Path(f"/proc/{said[1]}").is_dir():
                pid = int(said[1])
                monitor = qmp_socket(_command_line(pid), pid)
                found[pid] = Running(pairs.get("avd.name", ""), pid, port, monitor)
    return tuple(found.values())


def _port(text: str) -> int | None:
    port = int(text) if re.fullmatch(r"\d{1,5}", text) else 0
    return port if 0 < port < 65536 else None


def the_running(sdk: Sdk, avd: str | None = None) -> Running:
    """Return the running emulator; with a name, the one of that virtual device.

    Raises:
        NotRunningError: there is none, or more than one.
    """
    found = [each for each in running(sdk) if avd is None or each.avd == avd]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(sorted(each.avd for each in found))
        raise NotRunningError(f"{len(found)} run: {names}. Name one with --avd.")
    of = f" of {avd}" if avd else ""
    raise NotRunningError(
        f"no file pid_*.ini{of} in {' or '.join(str(each) for each in _folders(sdk))}. Start the "
        "emulator, and run losttick as the same user; or let losttick start it: "
        "`losttick android --avd NAME`."
    )


def _folders(sdk: Sdk) -> Sequence[Path]:
    runtime = sdk.environment.get("XDG_RUNTIME_DIR")
    own = [Path(runtime) / "avd" / "running"] if runtime else []
    fallback = [
        sdk.home / ".android" / "avd" / "running",
        Path(f"/run/user/{os.getuid()}/avd/running"),
    ]
    return tuple(dict.fromkeys([*own, sdk.avd_folder / "running", *fallback]))


def qmp_socket(argv: Sequence[str], pid: int) -> str | None:
    """Return the monitor's socket that an emulator's command line names: `-qmp unix:PATH,...`."""
    for option, value in itertools.pairwise(argv):
        if option == "-qmp" and value.startswith("unix:"):
            path = value.removeprefix("unix:").replace(",,", "\0").partition(",")[0]
            return str(Path(f"/proc/{pid}/cwd") / path.replace("\0", ","))
    return None


def _command_line(pid: int) -> Sequence[str]:
    try:
        text = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ()
    return text.rstrip("\0").split("\0")
