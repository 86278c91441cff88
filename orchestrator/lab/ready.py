"""Looks up what a lab run needs, before anything large is fetched or built."""

import re
from collections.abc import Collection
from pathlib import Path

from orchestrator.cache.program import kept_program, shipped
from orchestrator.cache.workshop import cache_folder
from orchestrator.direct import program as direct_program
from orchestrator.errors import InputError
from orchestrator.lab.emulator import bochs
from orchestrator.lab.kernel.kernel import KernelNameError
from orchestrator.lab.kernel.names import kernel_source, split_label
from orchestrator.lab.kernel.variants import Variant
from orchestrator.process.toolchain import need_tools

#: Paths in which the kernel's make and the emulator's configuration work.
_WORKABLE = re.compile(r"[\w./+@%~=-]+")


class CachePathError(InputError):
    """The tools that make a lab can't work in the cache's folder."""

    def __init__(self, place: Path) -> None:
        odd = next(each for each in str(place) if not _WORKABLE.fullmatch(each))
        super().__init__(
            f"making a lab in {place}: make and Bochs can't work in a path with {odd!r}. Let "
            "XDG_CACHE_HOME name a folder whose path has only letters, digits and . / _ + @ % ~ = -"
        )


def check_ready(
    kernels: Collection[str], variants: Collection[Variant], cache: Path | None = None
) -> None:
    """Refuse at once what would fail only after minutes of fetching and building.

    Args:
        kernels: names of kernels; none for the default kernel.
        variants: edits; none for untouched kernels, or for the default arms without kernels.
        cache: losttick's cache folder by default.

    Raises:
        KernelNameError: a name has no known form, or names what is not there.
        NoKernelSourceError: edits of a kernel that is not of packages.
        NoToolsError: something must be built, and tools for it are missing.
        PackagesError: what the mirror has can't be found out here.
        CachePathError: the path of the cache has characters with which tools can't work.
    """
    place = cache or cache_folder()
    if not _WORKABLE.fullmatch(str(place)):
        raise CachePathError(place)
    sources = [kernel_source(name) for name in kernels]
    _check_labels(kernels)
    edits = any(variant is not Variant.UNTOUCHED for variant in variants)
    edited = edits or not kernels
    if not _programs_are_built(place) or (edited and not (place / "builds").is_dir()):
        need_tools("making a lab")
    for source in sources:
        source.check(place)
        if edits:
            source.check_variants()


def _check_labels(kernels: Collection[str]) -> None:
    """Refuse one label for two names."""
    known: dict[str, str] = {}
    for name in kernels:
        label, plain = split_label(name)
        if label and (other := known.setdefault(label, plain)) != plain:
            raise KernelNameError(name, f"its label {label} is that of {other} already")


def _programs_are_built(cache: Path) -> bool:
    """Return whether the cache has all programs of a lab that are built here."""
    agent = kept_program(shipped("agent.c"), cache)
    return bochs.is_built(cache) and agent is not None and direct_program.is_built(cache)
