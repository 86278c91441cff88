"""The arms of a lab run: kernels as they are, and beside them edits whose answer is known."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from orchestrator.findings.lab import LabIdentity
from orchestrator.lab.kernel.kernel import Kernel, silent
from orchestrator.lab.kernel.names import default_kernel, kernel
from orchestrator.lab.kernel.titles import told_apart
from orchestrator.lab.kernel.variants import Variant, has_wants_to_run
from orchestrator.verdict.verdict import Verdict

#: The verdict that an edited arm must get, or the lab proves nothing.
_EXPECTED = {
    Variant.BASE: Verdict.CLEAN,
    Variant.REVERT_FIX: Verdict.AFFECTED,
    Variant.DROP_TIMER: Verdict.ANOMALOUS,
    Variant.NEVER_START: Verdict.ANOMALOUS,
}

#: Variants that lose nothing without APICv. The other faults do not depend on it.
_HARMLESS_WITHOUT_APICV = {Variant.BASE, Variant.REVERT_FIX, Variant.PARTIAL}


@dataclass(frozen=True, slots=True)
class Arm:
    """A kernel, an edit of its KVM modules, and whether APICv is on."""

    kernel: Kernel
    """The kernel as it was packaged."""
    variant: Variant = Variant.UNTOUCHED
    apicv: bool = True
    every: int | None = None
    """For the variant `partial`: the interrupt of 1 in `every` loads is lost."""

    @property
    def name(self) -> str:
        """A name that is unique within a run."""
        off = "" if self.apicv else "/no-apicv"
        return f"{self.kernel.title}/{self.variant}{off}"

    @property
    def expected(self) -> Verdict | None:
        """The verdict that the arm must get; None if its verdict is the question."""
        if not self.apicv and self.variant in _HARMLESS_WITHOUT_APICV:
            return Verdict.CLEAN
        return _EXPECTED.get(self.variant)

    def identity(
        self,
        emulator: str,
        edits: tuple[str, ...] = (),
        boot_s: float | None = None,
        counters: dict[str, int] | None = None,
    ) -> LabIdentity:
        """Return what a host of this arm is made of, as the journal records it.

        Args:
            emulator: the emulator, and where it came from.
            edits: names of the edits with which the modules were built.
            boot_s: seconds from the emulator's start to the agent's first word.
            counters: what the edited module counted.
        """
        return LabIdentity(
            kernel=self.kernel.name,
            version=self.kernel.version,
            label=self.kernel.label,
            variant=self.variant,
            apicv=self.apicv,
            emulator=emulator,
            expected=self.expected,
            boot_s=boot_s,
            edits=edits,
            counters=counters or {},
            every=self.every,
        )


def bug_and_fix(kernel: Kernel) -> list[Arm]:
    """Return the arms that show the bug and its fix side by side in one kernel.

    Raises:
        PackagesError: the kernel's source can't be had here.
    """
    base = [Arm(kernel, Variant.BASE)] if has_wants_to_run(kernel) else []
    return [
        Arm(kernel),
        *base,
        Arm(kernel, Variant.REVERT_FIX),
        Arm(kernel, Variant.REVERT_FIX, apicv=False),
    ]


def arms_of(
    kernels: Iterable[str],
    variants: Iterable[Variant],
    *,
    apicv: bool = True,
    every: int | None = None,
    say: Callable[[str], None] = silent,
) -> list[Arm]:
    """Return an arm for each kernel and variant; the kernels are fetched.

    Two names of one kernel, such as a suite and a version, make one arm. Kernels of one version
    have names that tell them apart.

    Args:
        kernels: names of kernels. Without any, the default kernel is taken, and without
            variants as well, the arms that show the bug and its fix in it.
        variants: the edits; without any, the kernels are untouched.
        apicv: whether kvm_intel is loaded with APICv.
        every: for the variant `partial`.
        say: hears how far the build of a kernel is.

    Raises:
        KernelNameError: a name has no known form, or names what is not there.
        PackagesError: a kernel can't be had here.
        CommitBuildError: a kernel is a commit that does not build.
    """
    names, edits = dict.fromkeys(kernels), dict.fromkeys(variants)
    if not names and not edits and apicv:
        return bug_and_fix(default_kernel())
    fetched = told_apart(kernel(name, say=say) for name in names) or [default_kernel()]
    return [
        Arm(each, variant, apicv, every if variant is Variant.PARTIAL else None)
        for each in fetched
        for variant in edits or [Variant.UNTOUCHED]
    ]
