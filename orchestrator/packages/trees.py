"""Debian packages of any suite, unpacked into a separate tree instead of being installed.

Packages are fetched with this computer's own apt configuration (mirror, proxy, keys),
with a private state folder and an empty list of installed packages, so that a
package's whole closure is fetched. The programs in the tree run with their own dynamic
loader and libraries. This needs `apt-get` and `dpkg-deb`, but not root.

A tree is kept under the digest of its .deb files, and an index maps each request to a tree.
The index is used without access to the network until a refresh is requested or the cache is
cleaned, so that two runs with one cache use the same files.
"""

import hashlib
import json
import logging
import re
import time
import urllib.parse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestrator.cache.store import Entry, EntryInfo, Store, in_words
from orchestrator.cache.workshop import cache_folder, workshop
from orchestrator.packages.apt import (
    PackageFaultError,
    PackagesError,
    apt,
    fetching_tool,
    package_tool,
    suite_sources,
)
from orchestrator.packages.by_hand import drop_folder, drop_source

_log = logging.getLogger(__name__)


_SUITES = re.compile(r"[a-z][a-z0-9-]*(,[a-z][a-z0-9-]*)*")


@dataclass(frozen=True, slots=True)
class Archive:
    """One .deb file of a tree."""

    name: str
    version: str
    sha256: str
    size_bytes: int
    file: str
    by_hand: bool
    """True if a user brought the file. It is not signed then."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A tree of unpacked packages."""

    root: Path
    entry: Entry | None = None
    """The tree's entry in the cache."""

    @property
    def archives(self) -> tuple[Archive, ...]:
        """The .deb files of the tree."""
        details = self.entry.info.details if self.entry else {}
        return tuple(Archive(**archive) for archive in details.get("archives", ()))

    def command(self, program: str) -> tuple[str, list[str]]:
        """Return a program of the tree, and the command that must run it.

        Raises:
            PackageFaultError: the tree has no dynamic loader.
        """
        folders = [
            folder
            for base in ("lib", "usr/lib")
            for where in ("x86_64-linux-gnu", "x86_64-linux-gnu/pulseaudio", "")
            if (folder := self.root / base / where).is_dir()
        ]
        # /lib64/ld-linux-x86-64.so.2 may be an absolute link that leaves the tree. Older
        # suites name the loader itself by its version.
        names = ("ld-linux-x86-64.so.2", "ld-2.*.so")
        found = (loader for name in names for folder in folders for loader in folder.glob(name))
        root = self.root.resolve()  # the cache itself may be reached by a link
        loader = next((each for each in found if root in each.resolve().parents), None)
        if loader is None:
            raise PackageFaultError(f"running {program}: {self.root} has no dynamic loader")
        library_path = ":".join(str(folder) for folder in folders)
        return str(self.root / program), [str(loader), "--library-path", library_path]


def unpack(
    suite: str, packages: Sequence[str], cache: Path | None = None, *, refresh: bool = False
) -> Unpacked:
    """Fetch packages of a suite with all their dependencies, and unpack them.

    A tree that was unpacked before is used again, without access to the network. Two processes
    may do this at the same time, and each may be killed at any moment.

    Args:
        suite: such as `bullseye`, `trixie-backports` or `bookworm-security`, or several
            joined by commas.
        packages: names of packages, or `name=version`.
        cache: folder of the cache; losttick's own by default.
        refresh: ask the mirror for the newest versions.

    Raises:
        PackagesError: apt is missing, has no network, or does not know the suite or a package.
    """
    if not _SUITES.fullmatch(suite):
        raise PackagesError(f"fetching {' '.join(packages)}: {suite!r} is no name of a suite")
    request = _Request(suite, tuple(sorted(set(packages))), cache or cache_folder())
    if not refresh and (ready := request.cached()):
        return ready
    with workshop(request.store / "work" / suite) as work:
        # Another process may have fetched the tree while this one waited.
        return (None if refresh else request.cached()) or request.fetch(work)


@dataclass(frozen=True, slots=True)
class _Request:
    suite: str
    packages: tuple[str, ...]
    cache: Path

    def __str__(self) -> str:
        return f"{' '.join(self.packages)} of {self.suite}"

    @property
    def store(self) -> Path:
        return self.cache / "packages"

    @property
    def trees(self) -> Store:
        return Store(self.store / "trees")

    @property
    def answer(self) -> Path:
        """The index file that names the tree of this request."""
        key = hashlib.sha256(repr((self.suite, self.packages)).encode()).hexdigest()[:16]
        return self.store / "index" / f"{key}.json"

    def cached(self) -> Unpacked | None:
        """Return the tree of this request, if the cache has it undamaged."""
        try:
            digest = json.loads(self.answer.read_bytes())["tree"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return self.whole(str(digest))

    def whole(self, digest: str) -> Unpacked | None:
        entry = self.trees.find(digest)
        if entry is None:
            return None
        if damage := entry.damage():
            _log.warning("%s is damaged in %s (%s): fetching it again",
                         self, entry.folder, in_words(damage))  # fmt: skip
            return None
        return Unpacked(entry.content, entry)

    def fetch(self, work: Path) -> Unpacked:
        """Fetch the closure unless the cache has its tree, and write the index."""
        command, archives = self._resolve(work)
        digest = _digest(archives)
        ready = self.whole(digest)
        if ready is None:
            tree = self._unpack(command, archives, work)
            info = EntryInfo(
                what=str(self),
                version=_versions(self.packages, archives),
                made_s=time.time(),
                details={
                    "suite": self.suite,
                    "packages": self.packages,
                    "archives": [asdict(archive) for archive in archives],
                },
            )
            entry = self.trees.add(digest, tree, info)
            ready = Unpacked(entry.content, entry)
        answer = {"suite": self.suite, "packages": self.packages, "tree": digest}
        (work / "answer").write_text(json.dumps(answer))
        self.answer.parent.mkdir(parents=True, exist_ok=True)
        (work / "answer").replace(self.answer)
        return ready

    def _resolve(self, work: Path) -> tuple[list[str], list[Archive]]:
        """Return an apt command whose lists contain the closure, and the closure.

        Raises:
            PackagesError: neither the user's files nor the mirror have all packages.
        """
        drop = drop_folder(self.cache, self.suite)
        brought = drop_source(drop, work / "drop")
        packages = " and ".join(self.packages)
        lacking = f"By hand: put the .deb files of {packages}, and of all they need, into {drop}"
        if brought:
            try:
                return self._listed(apt(work / "by-hand", brought))
            except PackagesError as error:
                lacking = f"The files in {drop} do not suffice ({error}): add those"
        # No suite is preferred to another: the newest version wins.
        release = None if "," in self.suite else self.suite
        sources = (brought or "") + suite_sources(self.suite)
        try:
            return self._listed(apt(work / "apt", sources, release))
        except PackagesError as error:
            raise PackagesError(
                f"{error}. {lacking}, or copy {self.cache} from a computer that has them."
            ) from error

    def _listed(self, command: list[str]) -> tuple[list[str], list[Archive]]:
        fetching_tool([*command, "update"], f"fetching {self}: reading the package lists")
        uris = fetching_tool([*command, *self._install("--print-uris")], f"looking for {self}")
        archives = []
        for line in (line for line in uris.splitlines() if line.startswith("'")):
            found = re.fullmatch(r"'([^']+)' ((\S+)_(\S+)_\w+\.deb) (\d+) SHA256:(\w+)", line)
            if found is None:
                raise PackageFaultError(f"looking for {self}: apt says {line!r}")
            uri, file, name, version, size, sha256 = found.groups()
            version = urllib.parse.unquote(version)
            by_hand = uri.startswith("copy:")
            archives.append(Archive(name, version, sha256, int(size), file, by_hand))
        return command, archives

    def _install(self, how: str) -> list[str]:
        return ["install", "-y", how, "--no-install-recommends", "-o", "Acquire::ForceHash=SHA256",
                *self.packages]  # fmt: skip

    def _unpack(self, command: list[str], archives: Sequence[Archive], work: Path) -> Path:
        fetching_tool([*command, *self._install("--download-only")], f"fetching {self}")
        (cache,) = (part for part in command if part.startswith("Dir::Cache="))
        place = Path(cache.removeprefix("Dir::Cache=")) / "archives"
        for archive in archives:
            path = place / archive.file
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != archive.sha256:
                    raise PackageFaultError(
                        f"fetching {self}: {archive.file} has the wrong SHA-256"
                    )
            package_tool(
                ["dpkg-deb", "-x", str(path), str(work / "tree")], f"unpacking {path.name}"
            )
            path.unlink()  # frees its space
        return work / "tree"


def _digest(archives: Sequence[Archive]) -> str:
    """Return the digest of a set of .deb files."""
    each = sorted(archive.sha256 for archive in archives)
    return hashlib.sha256("\n".join(each).encode()).hexdigest()


def _versions(packages: Sequence[str], archives: Sequence[Archive]) -> str:
    """Return the versions of the requested packages, each once."""
    asked = {package.partition("=")[0] for package in packages}
    return ", ".join(dict.fromkeys(a.version for a in archives if a.name in asked))
