#!/usr/bin/env python3
"""Runs `bootstrap` in fresh Debian systems, as a new user would.

    sudo tests/fresh/systems.py [SUITE...] [--only PATTERN]

For each suite (bookworm and trixie by default) a root file system is made by mmdebstrap. In it,
`./bootstrap run` and `./bootstrap test -e quick` run as root, as a user in the group kvm, as a
user outside of it, and once more offline as root and as the user in the group; `./bootstrap docs`
runs as the user in the group, and once more offline. Each case has a line of output, and the exit
code is 1 if a case went wrong. Mirror, proxies, certificates and the configuration of pip are this
computer's own. The script needs root, mmdebstrap, iproute2 and util-linux, and leaves nothing
behind: all mounts and processes are in namespaces that end with their case.
"""

import argparse
import configparser
import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: Beside these, every system has what bootstrap installs.
PACKAGES = "ca-certificates"

#: Variables that say how to reach the network.
NETWORK = re.compile(r"PIP_\w+|\w+_proxy|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE", re.I)

#: Lines of a case that are shown if it goes wrong.
TAIL = 150

#: Begins a command whose mounts and processes end with it, and with this script.
ALONE = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child"]


@dataclass(frozen=True)
class Case:
    """One start of bootstrap."""

    user: str
    command: str
    codes: tuple[int, ...]
    """Exit codes that are right."""
    says: str = ""
    """A text that must be in the output."""
    offline: bool = False

    def __str__(self) -> str:
        return f"{self.user}{', offline' if self.offline else ''}: ./bootstrap {self.command}"


def cases() -> Iterator[Case]:
    """Yield the cases in an order in which root has installed Debian's packages first."""
    kvm = Path("/dev/kvm").exists()
    without = Case("outsider", "run", (3,), "usermod -aG kvm outsider")
    yield Case("root", "run", (0,), "clean")
    yield Case("root", "test -e quick", (0,))
    yield Case("member", "run", (0,), "clean")
    yield Case("member", "test -e quick", (0,))
    yield Case("member", "docs", (0,), "the site begins at")
    yield without if kvm else Case("outsider", "run", (0,), "clean")
    yield Case("outsider", "test -e quick", (0,))
    for user in ("root", "member"):
        yield Case(user, "run", (0,), "clean", offline=True)
        yield Case(user, "test -e quick", (0,), offline=True)
    yield Case("member", "docs", (0,), "the site begins at", offline=True)


def output_of(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def sources(suite: str) -> list[str]:
    """Return the lines of sources.list, with the mirrors of this computer."""
    mirrors: dict[bool, str] = {}
    listed = output_of("apt-get", "indextargets", "--format", "$(SITE) $(SUITE) $(ORIGIN)")
    for line in listed.splitlines():
        site, known, *origin = line.split(maxsplit=2)
        if origin in ([], ["Debian"]):
            mirrors.setdefault("security" in known or "security" in site, site)
    lines = [f"deb {mirrors[False]} {suite} main", f"deb {mirrors[False]} {suite}-updates main"]
    if True in mirrors:
        lines.append(f"deb {mirrors[True]} {suite}-security main")
    return lines


def make_system(suite: str, root: Path, scratch: Path) -> None:
    """Make a root file system with three clones of losttick."""
    options = scratch / "apt.conf"
    options.write_text(output_of("apt-config", "dump", "--format", '%f "%v";%n', "Acquire"))
    subprocess.run(
        [*ALONE, "--mount-proc", "mmdebstrap", "--quiet", "--variant=minbase",
         f"--include={PACKAGES}", f"--aptopt={options}", suite, str(root), *sources(suite)],
        check=True,
    )  # fmt: skip
    for name in ("etc/resolv.conf", "etc/hosts"):
        with contextlib.suppress(OSError):
            (root / name).unlink(missing_ok=True)
            shutil.copy(f"/{name}", root / name)
    own = Path("/usr/local/share/ca-certificates")
    if own.is_dir():
        shutil.copytree(own, root / own.relative_to("/"), dirs_exist_ok=True)
    setup = """
        update-ca-certificates >/dev/null 2>&1
        groupadd --system --force kvm
        useradd --create-home --groups kvm member
        useradd --create-home outsider
    """
    subprocess.run(["chroot", root, "sh", "-ec", setup], check=True)
    archive = subprocess.run(
        ["git", "-C", ROOT, "archive", "HEAD"], check=True, capture_output=True
    ).stdout
    for user, home in (("root", "root"), ("member", "home/member"), ("outsider", "home/outsider")):
        clone = root / home / "losttick"
        clone.mkdir()
        subprocess.run(["tar", "-x", "-C", clone], input=archive, check=True)
        subprocess.run(["chroot", root, "chown", "-R", f"{user}:", f"/{home}/losttick"], check=True)


def network() -> dict[str, str]:
    """Return the variables of this computer that say how to reach the network."""
    return {name: value for name, value in os.environ.items() if NETWORK.fullmatch(name)}


def pip_files() -> list[Path]:
    """Return pip's configuration files, and the files and folders that they and variables name."""
    home = Path.home()
    places = ["/etc/pip.conf", "/etc/xdg/pip/pip.conf", home / ".config/pip/pip.conf",
              home / ".pip/pip.conf"]  # fmt: skip
    files = [path for path in map(Path, places) if path.is_file()]
    words = " ".join([*(file.read_text() for file in files), *network().values()])
    named = {Path(word) for word in re.findall(r"(?:file://|[\s=]|^)(/[\w./+-]+)", words)}
    # An index of files has folders beside it.
    named = {each.parent if len(each.parts) > 3 and each.is_dir() else each for each in named}
    folders = [path for path in named if path.is_dir() and path.parts[1] != "etc"]
    return files + sorted(path for path in named if path.is_file()) + sorted(folders)


def pip_variables(root: Path) -> dict[str, str]:
    """Give a system this computer's configuration of pip; return its variables."""
    merged = configparser.RawConfigParser()
    for path in pip_files():
        if path.name == "pip.conf":
            merged.read(path)
    with (root / "etc/pip.conf").open("w") as file:
        merged.write(file)
    return network() | {"PIP_CONFIG_FILE": "/etc/pip.conf"}


def mounts(root: Path) -> str:
    """Return the shell commands that make a system complete, in a mount namespace."""
    lines = [
        "mount --make-rprivate /",
        'mount --bind "$R" "$R"',  # so that the root of the system is a mount point
        'mount -t proc proc "$R/proc"',
        'mount -t sysfs -o ro sysfs "$R/sys"',
        'mount -t tmpfs -o mode=755 devices "$R/dev"',
        'mkdir "$R/dev/pts" "$R/dev/shm"',
        'mount -t devpts -o newinstance,ptmxmode=666 devpts "$R/dev/pts"',
        'mount -t tmpfs -o mode=1777 shm "$R/dev/shm"',
        'ln -s pts/ptmx "$R/dev/ptmx"; ln -s /proc/self/fd "$R/dev/fd"',
        "for each in null:3 zero:5 full:7 random:8 urandom:9; do",
        '    mknod -m 666 "$R/dev/${each%:*}" c 1 "${each#*:}"',
        "done",
        'mknod -m 666 "$R/dev/tty" c 5 0',
        "if [ -c /dev/kvm ]; then",
        '    mknod -m 660 "$R/dev/kvm" c 10 232; chroot "$R" chgrp kvm /dev/kvm',
        "fi",
    ]
    for path in pip_files():
        if path.is_dir():
            place = f'"$R"{shlex.quote(str(path))}'
            lines += [f"mkdir -p {place}", f"mount --bind -o ro {shlex.quote(str(path))} {place}"]
        elif path.name != "pip.conf" and not (root / path.relative_to("/")).exists():
            (root / path.relative_to("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / path.relative_to("/"))
    return "\n".join(lines)


def run_case(case: Case, root: Path, through: list[str]) -> str:
    """Run a case; return what was wrong with it, or an empty text."""
    variables = [f"{name}={value}" for name, value in pip_variables(root).items()]
    inner = (
        f"set -e\n{'ip link set lo up' if case.offline else ''}\n{mounts(root)}\n"
        f'chroot "$R" setpriv --reuid {case.user} --regid {case.user} --init-groups '
        f"--reset-env env {shlex.join(variables)} "
        f"sh -c {shlex.quote(f'cd && cd losttick && exec ./bootstrap {case.command}')}"
        # The shell stays: the kernel forgets to end one that has become another user.
        ' || exit "$?"\n'
    )
    began = time.monotonic()
    done = subprocess.run(
        [*through, *ALONE, "--ipc", *(["--net"] if case.offline else []), "sh", "-c", inner],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "R": str(root)}, text=True, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    took_s = time.monotonic() - began
    right = done.returncode in case.codes and case.says in done.stdout
    verdict = "as expected" if right else "WRONG"
    print(f"{case}: exit code {done.returncode}, {took_s:.0f} s: {verdict}", flush=True)
    return "" if right else "\n".join(done.stdout.splitlines()[-TAIL:])


def main() -> int:
    """Run the cases."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("suites", nargs="*", default=["bookworm", "trixie"], metavar="SUITE")
    parser.add_argument(
        "--through", default="", metavar="COMMAND",
        help="run each case through a command, such as one that waits for its turn",
    )  # fmt: skip
    parser.add_argument("--only", default="", metavar="PATTERN", help="run the cases that match")
    chosen = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("only root can make a system")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was made is removed
    wrong = 0
    for suite in chosen.suites:
        with tempfile.TemporaryDirectory(prefix="losttick-fresh-", dir="/var/tmp") as scratch:
            root = Path(scratch) / "root"
            make_system(suite, root, Path(scratch))
            root.chmod(0o755)
            for case in (each for each in cases() if re.search(chosen.only, str(each))):
                print(f"{suite}, ", end="", flush=True)
                if seen := run_case(case, root, shlex.split(chosen.through)):
                    wrong += 1
                    print(seen, flush=True)
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
