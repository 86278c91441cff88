"""A kernel with KVM built in, made from Debian's source package as a kernel developer would.

`--no-apicv` can't be a parameter of a module then: it goes on the kernel's command line. Only a
kernel that loses ticks shows that it took effect, so the fixes are reverted. The build takes some
10 minutes on one core; what a lab needs of it is kept.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cache.program import shipped
from orchestrator.lab.kernel.options import AUTO_CONF, BUILT_IN, LEAST_PORTS, PORTS
from orchestrator.lab.kernel.tree import IMAGE
from orchestrator.packages.apt import PackagesError
from orchestrator.packages.suites import fetch, packages
from tests.support.command import started
from tests.support.needs import Need, lacking

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(5400)]

TRIALS = 20

_PACKAGE = "linux-source-6.1"

_UNPACK = """
set -e
dpkg-deb --fsys-tarfile "$1" | tar -xO --wildcards './usr/src/linux-source-*.tar.xz' |
xz -dc | tar -x -C "$2" --strip-components=1
"""

#: Beside the options that losttick asks for: what those need, and a kernel that is quick to build.
_CONFIG = {
    "CONFIG_ACPI": "y",
    "CONFIG_AIO": "y",
    "CONFIG_CPU_SUP_INTEL": "y",
    "CONFIG_FHANDLE": "y",
    "CONFIG_FILE_LOCKING": "y",
    "CONFIG_KVM": "y",
    "CONFIG_KVM_INTEL": "y",
    "CONFIG_MULTIUSER": "y",
    "CONFIG_PCI": "y",
    "CONFIG_RD_GZIP": "y",
    "CONFIG_SERIAL_8250_NR_UARTS": str(LEAST_PORTS),
    "CONFIG_SHMEM": "y",
    "CONFIG_SMP": "y",
    "CONFIG_TIMERFD": "y",
    "CONFIG_TMPFS": "y",
    "CONFIG_TTY": "y",
    "CONFIG_VIRTUALIZATION": "y",
    "CONFIG_X86_X2APIC": "y",
    **{option.name: "y" for option in BUILT_IN},
    PORTS.name: str(LEAST_PORTS),
}


def make(source: Path, *goals: str) -> None:
    done = subprocess.run(
        ["make", "-s", "-C", source, f"-j{os.cpu_count()}", *goals],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def build(place: Path) -> None:
    """Build the kernel in a new folder."""
    if missing := [each for each in ("flex", "bison", "bc") if not shutil.which(each)]:
        lacking(Need.COMPILER, f"to build a kernel: {', '.join(missing)}")
    try:
        found = [each for each in packages("bookworm", place) if each.name == _PACKAGE]
        (archive,) = fetch(found[:1], place)
    except PackagesError as error:
        lacking(Need.PACKAGES, f"the source of a kernel: {error}")
    (source := place / "source").mkdir()
    subprocess.run(["sh", "-c", _UNPACK, "sh", archive, source], check=True)
    for edit in ("revert_fix", "drop_wants_to_run"):  # each alone saves the interrupt
        subprocess.run([sys.executable, shipped(f"edits/{edit}.py"), source], check=True)
    make(source, "tinyconfig")
    with (source / ".config").open("a") as config:
        config.writelines(f"{name}={value}\n" for name, value in _CONFIG.items())
    make(source, "olddefconfig")
    make(source, "bzImage")


@pytest.fixture(scope="module")
def tree() -> Path:
    """The kernel as a tree, which is built once."""
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    kept = Path(caches).expanduser() / "losttick-tests" / "built-in-kvm"
    if (kept / IMAGE).exists():
        return kept
    work = kept.with_name(f"work-{os.getpid()}")
    work.mkdir(parents=True)
    try:
        build(work)
        for path in (AUTO_CONF, IMAGE):  # the image comes last: it says that all is there
            (kept / path).parent.mkdir(parents=True, exist_ok=True)
            (work / "source" / path).rename(kept / path)
    finally:
        shutil.rmtree(work)
    return kept


def lab_probe(tree: Path, out: Path, *options: str) -> dict[str, Any]:
    wanted = ["--json", f"--trials={TRIALS}", "--tmcct=0", "--parallel=1", f"--out={out}"]
    with started("lab", "probe", *wanted, f"--kernel=mine=tree:{tree}", *options) as process:
        stdout, stderr = process.communicate()
    assert "Traceback" not in stderr
    (host,) = json.loads(stdout)["hosts"]
    found: dict[str, Any] = host
    return found


@pytest.mark.parametrize(
    ("options", "apicv", "lost"), [([], "Y", TRIALS), (["--no-apicv"], "N", 0)]
)
def test_no_apicv_on_the_command_line_of_a_kernel(
    tree: Path, tmp_path: Path, options: list[str], apicv: str, lost: int
) -> None:
    host = lab_probe(tree, tmp_path / "out", *options)
    assert host["host"]["kvm_modules"]["kvm_intel"]["enable_apicv"] == apicv
    assert host["series"][0]["lost"] == lost
