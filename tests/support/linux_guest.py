"""A small real Linux: a Debian kernel with busybox, as a guest that somebody else started."""

import stat
from collections.abc import Sequence
from pathlib import Path

from orchestrator.cache.workshop import cache_folder
from orchestrator.lab.kernel.debian import Debian
from orchestrator.packages.apt import PackagesError
from orchestrator.packages.trees import unpack
from tests.support.needs import Need, lacking

#: A shell that counts; `WORK` is what it does between two numbers.
INIT = """#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
i=0
while :; do
  i=$((i + 1))
  WORK
  echo "alive $i"
done
"""

WORK = {
    "idle": "/bin/busybox sleep 0.2",
    "asleep": '[ $i -lt 3 ] || { echo "alive asleep"; /bin/busybox sleep 1000; }',
    "busy": "j=0; while [ $j -lt 3000 ]; do j=$((j + 1)); done",
}


def linux_args(place: Path, work: str) -> Sequence[str]:
    """Put an initramfs into a folder; return the arguments of a QEMU that boots Linux with it."""
    try:
        kernel = Debian("bookworm").fetch(cache_folder())
        busybox = unpack("bookworm", ["busybox-static"]).root / "bin" / "busybox"
    except PackagesError as error:
        lacking(Need.PACKAGES, f"Debian's kernel and busybox: {error}")
    files = {
        "dev": (stat.S_IFDIR | 0o755, b"", 0),
        "dev/console": (stat.S_IFCHR | 0o600, b"", 5 << 8 | 1),
        "proc": (stat.S_IFDIR | 0o755, b"", 0),
        "bin": (stat.S_IFDIR | 0o755, b"", 0),
        "bin/busybox": (stat.S_IFREG | 0o755, busybox.read_bytes(), 0),
        "init": (stat.S_IFREG | 0o755, INIT.replace("WORK", WORK[work]).encode(), 0),
    }
    (place / "initramfs").write_bytes(newc(files))
    append = (
        "console=ttyS0 quiet mitigations=off no_timer_check random.trust_cpu=on audit=0 panic=-1 "
        "cryptomgr.notests lapic=notscdeadline"
    )
    return [
        *("-nodefaults", "-display", "none", "-machine", "pc,accel=tcg", "-cpu", "qemu64"),
        *("-m", "128", "-kernel", str(kernel.image), "-initrd", str(place / "initramfs")),
        *("-append", append, "-serial", "chardev:console0", "-no-reboot"),
    ]


def newc(files: dict[str, tuple[int, bytes, int]]) -> bytes:
    """Return a cpio archive of the form `newc`: mode, content and device number by name."""
    out = b""
    for number, (name, (mode, content, device)) in enumerate(
        [*files.items(), ("TRAILER!!!", (0, b"", 0))], 1
    ):
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, device >> 8, device & 255,
                  len(name) + 1, 0)  # fmt: skip
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        out += head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)
    return out
