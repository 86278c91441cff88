"""Tracefs is found among the mount points of a computer, which may have any names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.host.tracefs import mounted
from tests.support.needs import Need, lacking

#: Names that a user may give to a mount point.
NAMES = [
    b"m\xff",
    b"a b",
    b"a\nb",
    b"a\\134",
    b"a\x0cb",
    "a\u2028b\u2003c".encode(),
    b"\x1c",
    b"#x",
]


def escaped(name: bytes) -> bytes:
    """Return a name as the kernel writes it into /proc/self/mounts."""
    return b"".join(b"\\%03o" % each if each in b" \t\n\\#" else bytes([each]) for each in name)


@pytest.mark.parametrize("name", NAMES)
def test_a_mount_point_of_any_name(name: bytes) -> None:
    mounts = b"".join(
        b"none /%s/%s %s rw,relatime 0 0\n" % (kind, escaped(name), kind)
        for kind in (b"tmpfs", b"tracefs", b"proc")
    )
    assert mounted("tracefs", mounts) == [Path(os.fsdecode(b"/tracefs/" + name))]
    assert mounted("tracefs", b"") == []


@pytest.mark.parametrize("name", NAMES)
def test_a_mount_point_of_another_user_stops_nobody(tmp_path: Path, name: bytes) -> None:
    place = os.fsencode(tmp_path) + b"/" + name
    Path(os.fsdecode(place)).mkdir()
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "-r"]
    mount = [*unshare, "sh", "-ec", 'mount -t tmpfs none "$1"; shift; exec "$@"', "sh", place]
    if subprocess.run([*mount, "true"], check=False, capture_output=True).returncode != 0:
        lacking(Need.NAMESPACES, "nothing can be mounted in a mount namespace")
    find = "from orchestrator.host.tracefs import find; print(find())"
    done = subprocess.run([*mount, sys.executable, "-c", find], check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
