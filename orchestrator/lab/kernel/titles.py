"""Names that tell the kernels of a run apart, wherever the output names them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from orchestrator.lab.kernel.kernel import Kernel, KernelNameError

#: Characters that a title does not have. A cell's id has the title, between slashes.
_STRANGE = re.compile(r"[^A-Za-z0-9._+~:@-]+")


#: Characters of a mark that a title has at most: a file is named after it.
_LONGEST_MARK = 80


def told_apart(kernels: Iterable[Kernel]) -> list[Kernel]:
    """Return the kernels of a run, each once, with titles that differ.

    Two names of one kernel, such as a suite and a version, are one kernel, unless the user labels
    them. Kernels of one version, such as two builds of a tree, are told apart by what their
    sources know of them.

    Raises:
        KernelNameError: the user gave one label to two kernels.
    """
    found = _once(kernels)
    taken = {kernel.label for kernel in found if kernel.label}
    groups: dict[str, list[int]] = {}
    for at, kernel in enumerate(found):
        if not kernel.label:
            groups.setdefault(kernel.version, []).append(at)
    for version, group in groups.items():
        if len(group) > 1 or version in taken:
            titles = _titles([found[at] for at in group], taken)
            taken |= set(titles)
            for at, title in zip(group, titles, strict=True):
                found[at] = replace(found[at], label=title)
    return found


def _once(kernels: Iterable[Kernel]) -> list[Kernel]:
    """Return the kernels without repetitions.

    Raises:
        KernelNameError: the user gave one label to two kernels.
    """
    by_digest: dict[str, dict[str, Kernel]] = {}
    labelled: dict[str, tuple[str, str]] = {}
    for kernel in kernels:
        digest = kernel.digest
        if kernel.label:
            other, others = labelled.setdefault(kernel.label, (kernel.name, digest))
            if others != digest:
                raise KernelNameError(
                    kernel.name, f"its label {kernel.label} is that of {other} already"
                )
        by_digest.setdefault(digest, {}).setdefault(kernel.label, kernel)
    return [
        kernel
        for named in by_digest.values()
        for label, kernel in named.items()
        if label or len(named) == 1
    ]


def _titles(alike: Sequence[Kernel], taken: set[str]) -> list[str]:
    """Return titles for kernels of one version that differ from each other and those taken."""
    marks = [list(kernel.source.marks(kernel)) or [""] for kernel in alike]
    for nth in range(max(map(len, marks))):
        titles = [_title(kernel, each[min(nth, len(each) - 1)])
                  for kernel, each in zip(alike, marks, strict=True)]  # fmt: skip
        if len(set(titles)) == len(titles) and not taken & set(titles):
            return titles
    numbered = (f"{alike[0].version}@{number}" for number in range(1, len(alike) + len(taken) + 1))
    return [title for title in numbered if title not in taken][: len(alike)]


def _title(kernel: Kernel, mark: str) -> str:
    plain = _STRANGE.sub("_", mark).strip("_")[-_LONGEST_MARK:]
    return f"{kernel.version}@{plain}" if plain else kernel.version
