"""Debian packages of any suite, unpacked beside the system instead of installed on it.

Everything goes through this machine's own apt configuration (mirror, proxy, keys),
with a private state folder and an empty list of installed packages, so that a
package's whole closure is fetched: what is unpacked runs by its own dynamic
loader and libraries. Needs `apt-get` and `dpkg-deb`; root is not needed.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import UnfitError

#: Says that a tree is whole; written last.
_DONE = ".complete"


class PackagesError(UnfitError):
    """Packages could not be had."""


def cache_folder() -> Path:
    """Return losttick's folder under the XDG cache directory."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    return Path(base) / "losttick"


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A tree of unpacked packages."""

    root: Path

    def command(self, program: str) -> tuple[str, list[str]]:
        """Return a program of the tree and the command that it must be run by.

        Raises:
            PackagesError: the tree has no dynamic loader.
        """
        folders = [
            folder
            for base in ("lib", "usr/lib")
            for where in ("x86_64-linux-gnu", "x86_64-linux-gnu/pulseaudio", "")
            if (folder := self.root / base / where).is_dir()
        ]
        # /lib64/ld-linux-x86-64.so.2 may be an absolute link, out of the tree: older
        # suites have the loader itself under its version.
        names = ("ld-linux-x86-64.so.2", "ld-2.*.so")
        found = (loader for name in names for folder in folders for loader in folder.glob(name))
        loader = next((each for each in found if self.root in each.resolve().parents), None)
        if loader is None:
            raise PackagesError(f"running {program}: {self.root} has no dynamic loader")
        library_path = ":".join(str(folder) for folder in folders)
        return str(self.root / program), [str(loader), "--library-path", library_path]


def unpack(suite: str, packages: Sequence[str], cache: Path | None = None) -> Unpacked:
    """Fetch packages of a suite with all they depend on, and unpack them.

    What was unpacked before is used again. Safe under two processes, and under
    a kill at any point.

    Args:
        suite: such as `bullseye` or `trixie-backports`.
        packages: names of packages.
        cache: where; losttick's cache folder by default.

    Raises:
        PackagesError: apt is missing, has no network, or does not know the suite or a package.
    """
    place = (cache or cache_folder()) / "debian" / suite
    tree = place / "-".join(packages)
    if (tree / _DONE).exists():
        return Unpacked(tree)
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise PackagesError(f"fetching {' '.join(packages)} of {suite}: there is no {tool}")
    with workshop(place) as work:
        if not (tree / _DONE).exists():
            archives = _download(suite, packages, work / "apt")
            fresh = work / "tree"
            for archive in archives:
                run_tool(["dpkg-deb", "-x", str(archive), str(fresh)], f"unpacking {archive.name}")
            (fresh / _DONE).touch()
            shutil.rmtree(tree, ignore_errors=True)
            fresh.rename(tree)
    return Unpacked(tree)


def apt(state: Path, sources: str, default_release: str | None = None) -> list[str]:
    """Return an `apt-get` command with state and sources of its own.

    Args:
        state: folder for its lists and archives.
        sources: its sources.list; `{mirror}` stands for this machine's mirror.
        default_release: the suite to prefer.

    Raises:
        PackagesError: this machine's apt knows no mirror of Debian.
    """
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    (state / "sources.list").write_text(sources.format(mirror=_mirror()))
    options = [
        f"Dir::State={state}/state",
        f"Dir::State::status={state}/status",
        f"Dir::Cache={state}/cache",
        f"Dir::Etc::sourcelist={state}/sources.list",
        "Dir::Etc::sourceparts=-",
        "APT::Sandbox::User=",  # as the user who called: the folder may be private
        "Acquire::Languages=none",
        "Acquire::Check-Valid-Until=false",  # an archived suite is never signed anew
        *([f"APT::Default-Release={default_release}"] if default_release else []),
    ]
    return ["apt-get", "-qq", *(part for option in options for part in ("-o", option))]


def _download(suite: str, packages: Sequence[str], state: Path) -> list[Path]:
    """Return the .deb files of the packages and of all they depend on."""
    # A suite of backports holds only what differs from the suite that it is for.
    suites = dict.fromkeys((suite.removesuffix("-backports"), suite))
    sources = "".join(f"deb {{mirror}} {each} main\n" for each in suites)
    command = apt(state, sources, suite)
    run_tool([*command, "update"], f"reading the package lists of {suite}")
    run_tool(
        [*command, "install", "-y", "--download-only", "--no-install-recommends", *packages],
        f"fetching {' '.join(packages)} of {suite}",
    )
    return sorted((state / "cache" / "archives").glob("*.deb"))


def _mirror() -> str:
    """Return the mirror that this machine's apt uses for Debian itself."""
    listed = run_tool(
        ["apt-get", "indextargets", "--format", "$(SITE) $(SUITE) $(ORIGIN)"],
        "asking apt for its mirror",
    )
    for line in listed.splitlines():
        site, suite, *origin = line.split(maxsplit=2)
        if "security" not in suite and "security" not in site and origin in ([], ["Debian"]):
            return site
    raise PackagesError(
        "asking apt for its mirror: it knows none of Debian. Run apt-get update as root, once."
    )


def run_tool(
    command: Sequence[str], doing: str, *, cwd: Path | None = None, must: bool = True
) -> str:
    """Run a tool and return its output.

    Args:
        command: the tool and its arguments.
        doing: what for, in a message.
        cwd: where.
        must: whether its failure is an error.

    Raises:
        PackagesError: it failed.
    """
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd=cwd,
        env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
    )  # fmt: skip
    if must and done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise PackagesError(f"{doing}: {'; '.join(words[-3:])}")
    return done.stdout


@contextlib.contextmanager
def workshop(place: Path) -> Iterator[Path]:
    """Give an empty folder in `place` to build in, to one process at a time.

    What a process that was killed has left in it is removed by the next.
    """
    place.mkdir(parents=True, exist_ok=True)
    work = place / "work"
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
