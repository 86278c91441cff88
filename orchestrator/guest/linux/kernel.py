"""The kernel that a Linux guest boots."""

import functools
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from orchestrator.cache.workshop import cache_folder
from orchestrator.errors import InputError
from orchestrator.packages.debian_kernel import fetch_kernel, kernel_version, names_a_kernel
from orchestrator.packages.kernel_image import ImageError, image_release
from orchestrator.packages.kernel_index import SUITES
from orchestrator.packages.suites import NoSuiteError
from orchestrator.process.existence import exists

#: The kernel that is booted unless another is named.
DEFAULT_KERNEL = "debian:bookworm"

#: The name of the kernel that runs on this computer.
HOST = "host"

#: Where distributions keep the image of a release. Debian has the first, Arch and new Debian
#: kernels the second, Fedora and openSUSE both.
PLACES = ("/boot/vmlinuz-{release}", "/usr/lib/modules/{release}/vmlinuz")


class GuestKernelError(InputError):
    """A name names no kernel that a guest can boot."""

    def __init__(self, name: str, seen: str) -> None:
        super().__init__(
            f"the guest's kernel {name!r}: {seen}. Name it as debian:SUITE, debian:VERSION, "
            f"{HOST}, or by the path of a bzImage, such as {DEFAULT_KERNEL}"
        )


@dataclass(frozen=True, slots=True)
class GuestKernel:
    """A kernel's image."""

    release: str
    """The release as `uname -r` prints it."""
    image: bytes
    sha256: str


@functools.lru_cache(maxsize=4)
def guest_kernel(name: str) -> GuestKernel:
    """Return the kernel that a name means; fetch it first if the cache lacks it.

    It is read once: all guests of a process boot the same image.

    Args:
        name: `debian:SUITE`, `debian:VERSION`, `host`, or the path of a bzImage.

    Raises:
        GuestKernelError: the name names nothing, or no bzImage.
        PackagesError: the kernel can't be fetched here.
    """
    path = _path(name)
    try:
        release = image_release(path)
        image = path.read_bytes()
    except PermissionError:
        seen = f"{path} may not be read here. As root: chmod a+r {path}, or copy it"
        raise GuestKernelError(name, seen) from None
    except (OSError, ImageError) as error:
        seen = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        raise GuestKernelError(name, seen) from error
    return GuestKernel(release, image, hashlib.sha256(image).hexdigest())


def _path(name: str) -> Path:
    kind, colon, what = name.partition(":")
    if colon and kind == "debian":
        return _debian(name, what)
    if name == HOST:
        return _host(name)
    if re.fullmatch(r"[a-z]+", kind) and colon and not exists(Path(name)):
        raise GuestKernelError(name, "that is no source of kernels")
    try:
        return Path(name).expanduser()
    except RuntimeError:
        raise GuestKernelError(name, "no user has such a home folder") from None


def _host(name: str) -> Path:
    """Return the image of the kernel that runs, at the first place that has one."""
    release = os.uname().release
    places = [Path(place.format(release=release)) for place in PLACES]
    for place in places:
        if place.exists():
            return place
    seen = (
        f"neither {' nor '.join(map(str, places))} is there: the kernel that runs here, {release}, "
        "came from elsewhere, as in a container or a small virtual machine"
    )
    raise GuestKernelError(name, seen)


def _debian(name: str, what: str) -> Path:
    if not names_a_kernel(what):
        raise GuestKernelError(name, "that is neither a suite nor a version")
    cache = cache_folder()
    try:
        version = kernel_version(what, cache)
    except NoSuiteError as error:
        suites = ", ".join(SUITES)
        raise GuestKernelError(name, f"{error}. Suites with kernels are: {suites}") from None
    return fetch_kernel(version, cache).content / "vmlinuz"
