"""Source archives of Debian's source packages, fetched by this computer's own apt."""

import hashlib
import re
import shutil
import time
from pathlib import Path

from orchestrator.cache.store import EntryInfo, Store
from orchestrator.cache.workshop import cache_folder
from orchestrator.packages.apt import PackageFaultError, PackagesError, apt, fetching_tool
from orchestrator.packages.by_hand import drop_folder


def source_archive(
    suite: str,
    package: str,
    folder: Path,
    *,
    cache: Path | None = None,
    sha256: str | None = None,
) -> Path:
    """Return the upstream source archive of a package, with a checked SHA-256.

    The archive is kept in the cache. If the caller knows its SHA-256, it is taken from the
    cache, or from the files that a user brought, without access to the network.

    A mirror may have the archive but not the .dsc file. Only the archive's own SHA-256,
    from the caller or from the signed source index, is checked.

    Args:
        suite: such as `trixie`.
        package: name of the source package.
        folder: working folder, in a workshop of the same cache.
        cache: folder of the cache; losttick's own by default.
        sha256: expected SHA-256; by default the one in the source index.

    Raises:
        PackagesError: the archive can't be fetched.
    """
    cache = cache or cache_folder()
    store = Store(cache / "sources")
    if sha256 and (kept := _kept(store, sha256)):
        return kept
    drop = drop_folder(cache, suite)
    brought = _brought(drop, package, sha256) if sha256 else None
    content = folder / "archive"
    content.mkdir(parents=True)
    if sha256 and brought:
        shutil.copy(brought, content)
        name, digest = brought.name, sha256
    else:
        try:
            name, digest = _fetch(suite, package, folder, sha256)
        except PackagesError as error:
            raise PackagesError(
                f"{error}. By hand: put {package}_*.orig.tar.* into {drop}, "
                f"or copy {cache} from a computer that has it."
            ) from error
        (folder / name).rename(content / name)
    info = EntryInfo(
        what=f"source of {package} of {suite}",
        version=name.removeprefix(f"{package}_").partition(".orig.")[0],
        made_s=time.time(),
        details={"file": name, "sha256": digest, "by_hand": brought is not None},
    )
    return store.add(digest, content, info).content / name


def _kept(store: Store, sha256: str) -> Path | None:
    entry = store.find(sha256)
    if entry is None or entry.damage():
        return None
    return entry.content / str(entry.info.details["file"])


def _brought(drop: Path, package: str, sha256: str) -> Path | None:
    for archive in sorted(drop.glob(f"{package}_*.orig.tar.*")):
        if hashlib.sha256(archive.read_bytes()).hexdigest() == sha256:
            return archive
    return None


def _fetch(suite: str, package: str, folder: Path, sha256: str | None) -> tuple[str, str]:
    """Fetch an archive by apt into a folder; return its name and SHA-256."""
    command = apt(folder / "apt", f"deb-src {{mirror}} {suite} main\n")
    doing = f"fetching the source of {package}"
    fetching_tool([*command, "update"], f"{doing}: reading the index of {suite}")
    source = [*command, "-o", "Acquire::ForceHash=SHA256", "source", "--only-source"]
    listed = fetching_tool(
        [*source, "--print-uris", package], f"{doing}: looking for it in {suite}"
    )
    found = re.search(r"^'[^']+' (\S+\.orig\.tar\.\w+) \d+ SHA256:([0-9a-f]{64})$", listed, re.M)
    if found is None:
        raise PackagesError(f"{doing}: {suite} lists no archive of it")
    name, listed_sha256 = found.groups()
    if sha256 not in (None, listed_sha256):
        raise PackagesError(
            f"{doing}: {suite} has {name} now, whose SHA-256 is not the one that losttick knows"
        )
    # This fails if the .dsc file is missing. The archive is checked below.
    fetching_tool([*source, "--download-only", package], doing, cwd=folder, must=False)
    if not (folder / name).exists():
        raise PackagesError(f"{doing}: {name} did not come")
    if hashlib.sha256((folder / name).read_bytes()).hexdigest() != listed_sha256:
        raise PackageFaultError(f"{doing}: {name} has the wrong SHA-256")
    return name, listed_sha256
