"""Packages that a user has put into the cache by hand, as a source for apt.

A .deb file does not say from which suite it is. Its folder does:
`debs/SUITE` in the cache. The files are not signed; their SHA-256 is recorded with
everything that is made from them.
"""

import hashlib
import urllib.parse
from pathlib import Path

from orchestrator.packages.apt import package_tool


def drop_folder(cache: Path, suite: str) -> Path:
    """Return the folder for .deb files and source archives of a suite that a user brings."""
    return cache / "debs" / suite


def drop_source(drop: Path, place: Path) -> str | None:
    """Return the sources.list line for the .deb files in a folder; None if there are none.

    Args:
        drop: the folder.
        place: folder to create for apt's index of the files; it must not exist.

    Raises:
        PackagesError: a file is not a Debian package.
    """
    archives = sorted(drop.glob("*.deb"))
    if not archives:
        return None
    place.mkdir(parents=True)
    index = []
    for archive in archives:
        control = package_tool(["dpkg-deb", "-f", str(archive)], f"reading {archive}")
        with archive.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        (place / archive.name).symlink_to(archive.resolve())
        index.append(
            f"{control.strip()}\nFilename: ./{archive.name}\n"
            f"Size: {archive.stat().st_size}\nSHA256: {digest}\n"
        )
    (place / "Packages").write_text("\n".join(index))
    # With copy instead of file, apt collects all archives in one folder.
    return f"deb [trusted=yes] copy:{urllib.parse.quote(str(place))} ./\n"
