from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.cache.program import shipped
from orchestrator.lab.kernel import variants
from orchestrator.lab.kernel.kernel import Kernel, NoKernelSourceError
from orchestrator.lab.kernel.names import kernel_source
from orchestrator.lab.kernel.variants import (
    Variant,
    VariantError,
    has_wants_to_run,
    modify,
)
from tests.support.lapic_source import PLAIN, STATIC_CALL, source


def a_kernel(name: str = "debian:9.1.1-1", **modules: bytes) -> Kernel:
    return Kernel(kernel_source(name), "9.1.1-1", "9.1.0", Path("vmlinuz"),
                  {each.replace("_", "-"): data for each, data in modules.items()})  # fmt: skip


@pytest.fixture
def lapic(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Say what the kernel's source is, and build nothing but a word for each edit."""

    def is_now(text: str) -> None:
        monkeypatch.setattr(variants, "lapic_source", lambda *_: text)

    def build(kernel: Kernel, edits: list[Path], *_: object) -> dict[str, bytes]:
        done = "+".join(edit.stem for edit in edits).encode()
        every = b"losttick_every:\0\1\0\0\0." if b"partial" in done else b""
        return {"kvm": done + every, "kvm-intel": done}

    monkeypatch.setattr(variants, "build_modules", build)
    return is_now


BOTH = {"kvm": b"k", "kvm_intel": b"i", "irqbypass": b"b"}


@pytest.mark.parametrize(
    ("variant", "edits"),
    [
        (Variant.BASE, b"drop_wants_to_run"),
        (Variant.REVERT_FIX, b"drop_wants_to_run+revert_fix"),
        (Variant.DROP_TIMER, b"drop_timer"),
    ],
)
def test_a_variant_is_some_edits(
    lapic: Callable[[str], None], variant: Variant, edits: bytes
) -> None:
    lapic(PLAIN)
    kernel = a_kernel(**BOTH)
    assert has_wants_to_run(kernel)
    found = modify(kernel, variant)
    assert found.modules == {"irqbypass": b"b", "kvm": edits, "kvm-intel": edits}
    assert (found.variant, kernel.variant) == (variant.value, "untouched")


@pytest.mark.parametrize("variant", sorted({*Variant} - {Variant.UNTOUCHED}))
def test_the_kernel_names_its_edits(lapic: Callable[[str], None], variant: Variant) -> None:
    """They are part of the lab's identity. Each fault is one edit, of the fault's name."""
    lapic(PLAIN)
    on_base = variant in (Variant.BASE, Variant.REVERT_FIX, Variant.PARTIAL)
    own = {Variant.BASE: (), Variant.PARTIAL: ("partial_revert",)}.get(
        variant, (variant.replace("-", "_"),)
    )
    found = modify(a_kernel(**BOTH), variant)
    assert found.edits == (("drop_wants_to_run", *own) if on_base else own)
    assert found.modules["kvm"].startswith("+".join(found.edits).encode())
    assert all(shipped(f"edits/{name}.py").is_file() for name in found.edits)


def test_without_the_condition_the_base_is_the_kernel_itself(lapic: Callable[[str], None]) -> None:
    lapic(PLAIN.replace("wants_to_run", "on"))
    kernel = a_kernel(**BOTH)
    assert not has_wants_to_run(kernel)
    assert modify(kernel, Variant.REVERT_FIX).modules["kvm"] == b"revert_fix"
    with pytest.raises(VariantError, match="base and untouched are the same"):
        modify(kernel, Variant.BASE)


def test_untouched_is_not_built() -> None:
    kernel = a_kernel(**BOTH)
    assert modify(kernel, Variant.UNTOUCHED) is kernel


def test_n_is_put_into_the_module(lapic: Callable[[str], None]) -> None:
    lapic(PLAIN)
    found = modify(a_kernel(**BOTH), Variant.PARTIAL, every=259)
    assert found.modules["kvm"].endswith(b"+partial_revertlosttick_every:\0\3\1\0\0.")
    for variant, every in ((Variant.REVERT_FIX, 5), (Variant.PARTIAL, -1)):
        with pytest.raises(VariantError, match="that is for partial"):
            modify(a_kernel(**BOTH), variant, every=every)


def test_what_cannot_be_edited_is_refused(lapic: Callable[[str], None]) -> None:
    lapic(source("", STATIC_CALL[1]).replace("apicv_pre_state_restore and", ""))
    for variant in (Variant.REVERT_FIX, Variant.PARTIAL):
        with pytest.raises(VariantError, match="it is without the fix as it is"):
            modify(a_kernel(**BOTH), variant)
    with pytest.raises(VariantError, match="KVM is built in"):
        modify(a_kernel(), Variant.DROP_TIMER)
    with pytest.raises(
        NoKernelSourceError, match=r"Edit the tree by a program of .*edits, and build it"
    ):
        modify(a_kernel("tree:/x", **BOTH), Variant.REVERT_FIX)
    with pytest.raises(NoKernelSourceError, match="only kernels of packages are edited"):
        has_wants_to_run(a_kernel("tree:/x"))
