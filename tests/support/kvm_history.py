"""A git history of KVM's source whose commits are known: some break, some don't build or boot."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.cache.program import shipped
from orchestrator.lab.kernel.kernel import Kernel, build_place
from orchestrator.lab.kernel.modules import lapic_source
from tests.support.git import commit, repository

LAPIC = Path("arch/x86/kvm/lapic.c")
VMX = Path("arch/x86/kvm/vmx/vmx.c")

#: Text that no compiler takes.
_BROKEN = "\nthis does not compile;\n"

#: The start of `vmx_init()`, at which kvm_intel is loaded.
_VMX_INIT = "static int __init vmx_init(void)\n{\n"


@dataclass
class KvmHistory:
    """A repository that gets one commit after another."""

    place: Path
    commits: dict[str, str] = field(default_factory=dict)
    """The commits by their subjects, the oldest first."""

    @classmethod
    def of(cls, kernel: Kernel, place: Path) -> "KvmHistory":
        """Begin with the source of a kernel of packages."""
        lapic_source(kernel)
        shutil.copytree(build_place(kernel) / "tree/pristine", place, symlinks=True)
        made = cls(repository(place))
        made.commit("as packaged")
        return made

    def commit(self, subject: str, *changes: Callable[[Path], None]) -> str:
        """Change the source and commit it."""
        for change in changes:
            change(self.place)
        self.commits[subject] = commit(self.place, subject)
        return self.commits[subject]


def edited(*names: str, every: int | None = None) -> Callable[[Path], None]:
    """Return a change by programs of `images/lab/edits`."""

    def change(place: Path) -> None:
        for name in names:
            program = shipped(f"edits/{name}.py")
            subprocess.run([sys.executable, str(program), str(place)], check=True)
        if every is not None:
            _replace(place / LAPIC, '{ "losttick_every:", 1 }', f'{{ "losttick_every:", {every} }}')

    return change


def always(place: Path) -> None:
    """Change `partial_revert`, whatever its N is, to lose each interrupt."""
    text = (place / LAPIC).read_text()
    before, mark, after = text.partition('{ "losttick_every:", ')
    assert mark
    (place / LAPIC).write_text(f"{before}{mark}1 {after[after.index('}') :]}")


def noted(number: int) -> Callable[[Path], None]:
    """Return a change that only makes another module."""
    return lambda place: _append(
        place / LAPIC, f'\nstatic const char note{number}[] __used = "n";\n'
    )


def commented(place: Path) -> None:
    """Change a comment: the modules stay what they are."""
    _append(place / LAPIC, "\n/* A comment. */\n")


def documented(place: Path) -> None:
    """Change a file that is not compiled."""
    _append(place / "README", "A line.\n")


def broken(place: Path) -> None:
    _append(place / LAPIC, _BROKEN)


def mended(place: Path) -> None:
    _replace(place / LAPIC, _BROKEN, "")


def panicking(place: Path) -> None:
    _replace(place / VMX, _VMX_INIT, f'{_VMX_INIT}\tpanic("made by a test");\n')


def calm(place: Path) -> None:
    _replace(place / VMX, '\tpanic("made by a test");\n', "")


def _append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} is in {path} {text.count(old)} times"
    path.write_text(text.replace(old, new))


def long_history(kernel: Kernel, place: Path) -> tuple[KvmHistory, str]:
    """Make 16 commits; return them, and the one that breaks.

    From there on one tick in three is lost, and at last each. Halving the history meets commits
    that don't build and commits that panic.
    """
    made = KvmHistory.of(kernel, place)
    made.commit("a note", noted(1))
    made.commit("a comment", commented)
    made.commit("a document", documented)
    made.commit("panics", panicking)
    made.commit("is calm again", calm)
    made.commit("another note", noted(2))
    made.commit("does not build", broken)
    made.commit("builds again", mended)
    culprit = made.commit("loses one in three", edited("partial_revert", every=3))
    made.commit("a third note", noted(3))
    made.commit("panics once more", panicking)
    made.commit("does not build either", broken)
    made.commit("builds and is calm", mended, calm)
    made.commit("another document", documented)
    made.commit("loses each", always)
    return made, culprit
