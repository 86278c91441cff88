"""QEMUs with disks and snapshots of their own, which losttick did not start."""

import hashlib
import json
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.guest.config import GuestConfig
from orchestrator.guest.tick.config import Switches
from orchestrator.guest.tick.guest import TickFirmware
from orchestrator.vm.argv import qemu_args
from orchestrator.vm.config import Accel, InstanceConfig

#: A snapshot that is there before losttick comes.
THEIRS = "before-the-upgrade"

DISKS = ("system", "data")


def guest_args(
    place: Path, accel: Accel, wait: str, switches: Switches | None = None, vcpus: int = 1
) -> Sequence[str]:
    """Put the tick firmware into a folder; return the arguments of a QEMU that runs it."""
    config = InstanceConfig(
        accel,
        GuestConfig(period_ns=20_000_000, wait=wait, vcpus=vcpus, shared_port=vcpus > 1),  # type: ignore[arg-type]
        program=TickFirmware(switches or Switches()),
        disk=False,
        memory_mib=80,
    )
    for name, content in config.program.files.items():
        (place / name).write_bytes(content)
    args = [arg for arg in qemu_args(config) if not arg.startswith("chardev=qmp")]
    args.remove("-mon")
    return args


def make_disk(place: Path, name: str) -> list[str]:
    """Make a disk; return QEMU's arguments for it."""
    image = place / f"{name}.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "8M"], check=True)
    return ["-drive", f"if=none,id={name},file={image},format=qcow2"]


@dataclass
class OwnQemu:
    """A QEMU that the test started."""

    place: Path
    process: "subprocess.Popen[bytes]"
    disks: Sequence[str] = DISKS

    @property
    def qmp(self) -> str:
        return str(self.place / "qmp")

    def ask(self, command: str, **arguments: object) -> object:
        """Run one QMP command by a connection of its own."""
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(60)
            stream.connect(self.qmp)
            with stream.makefile("rw") as lines:
                lines.readline()
                answer: dict[str, object] = {}
                for asked, given in (("qmp_capabilities", {}), (command, arguments)):
                    print(
                        json.dumps({"execute": asked, "arguments": given}), file=lines, flush=True
                    )
                    answer = json.loads(lines.readline())
                    while "event" in answer:
                        answer = json.loads(lines.readline())
                assert "return" in answer, answer
                return answer["return"]

    @property
    def answers(self) -> bool:
        """Whether the monitor is free."""
        try:
            return bool(self.ask("query-status"))
        except (OSError, ValueError):
            return False

    def human(self, line: str) -> str:
        return str(self.ask("human-monitor-command", **{"command-line": line}))

    def state(self) -> Mapping[str, object]:
        """Return what losttick must leave as it was: run state, snapshots, and disks."""
        status = self.ask("query-status")
        drives = self.ask("query-block")
        assert isinstance(status, dict)
        assert isinstance(drives, list)
        images = {
            drive["device"]: [
                (each["name"], each["id"], each["vm-state-size"])
                for each in drive["inserted"]["image"].get("snapshots", [])
            ]
            for drive in drives
            if drive.get("inserted")
        }
        return {"status": status["status"], "snapshots": images, "contents": self.contents()}

    def contents(self) -> Mapping[str, str]:
        """Return a digest of what the guest sees on each disk."""
        found = {}
        for name in self.disks:
            raw = self.place / f"{name}.raw"
            source = f"driver=qcow2,file.filename={self.place / name}.qcow2,file.locking=off"
            subprocess.run(
                ["qemu-img", "convert", "-U", "--image-opts", "-O", "raw", source, raw], check=True
            )
            found[name] = hashlib.sha256(raw.read_bytes()).hexdigest()
        return found


def start_own(
    place: Path,
    accel: Accel,
    wait: str = "halt",
    *more: str,
    qemu: str = "qemu-system-x86_64",
    environment: Mapping[str, str] | None = None,
    disks: Sequence[str] = DISKS,
    args: Sequence[str] = (),
    vcpus: int = 1,
) -> OwnQemu:
    """Start a QEMU by hand, with disks; `args` are those of another guest than the firmware."""
    args = args or guest_args(place, accel, wait, vcpus=vcpus)
    drives = [arg for name in disks for arg in make_disk(place, name)]
    sockets = ("-qmp", "unix:qmp,server=on,wait=off", "-chardev", "file,id=console0,path=console")
    process = subprocess.Popen(
        [qemu, *sockets, *args, *drives, *more],
        cwd=place, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return OwnQemu(place, process, disks)


def prepare(own: OwnQemu) -> None:
    """Write to the disks and take a snapshot of the user's own, and write again."""
    for name in own.disks:
        own.human(f'qemu-io {name} "write -P 0x11 0 64k"')
    if own.disks:
        assert own.human(f"savevm {THEIRS}") == ""
    for name in own.disks:
        own.human(f'qemu-io {name} "write -P 0x22 32k 64k"')
        own.human(f"qemu-io {name} flush")
