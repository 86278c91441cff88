"""Which arms share a booted lab, with labs that only note what is done to them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.errors import UnfitError
from orchestrator.lab import labs as module
from orchestrator.lab.arms import Arm
from orchestrator.lab.claims import ClaimError
from orchestrator.lab.emulator.bochs import Bochs
from orchestrator.lab.emulator.boot import LabError
from orchestrator.lab.kernel.debian import Debian
from orchestrator.lab.kernel.kernel import Kernel
from orchestrator.lab.kernel.modules import ModuleBuildError
from orchestrator.lab.kernel.variants import Variant, VariantError
from orchestrator.lab.labs import ArmHost, LabParts, Labs
from orchestrator.testing import FACTS

PARTS = LabParts(Bochs(Path("bochs"), Path("bios"), Path("vga"), "a Bochs of the test's"))


def a_kernel(version: str = "6.1.1-1") -> Kernel:
    modules = {"kvm": version.encode(), "kvm-intel": version.encode()}
    return Kernel(Debian(version), version, "6.1.0", Path("vmlinuz"), modules)


OLD, NEW = a_kernel("5.10.1-1"), a_kernel("6.1.1-1")
UNTOUCHED = Arm(NEW)
REVERTED = Arm(NEW, Variant.REVERT_FIX)
WITHOUT = Arm(NEW, Variant.REVERT_FIX, apicv=False)


class FakeLab:
    """A booted lab."""

    boot_s = 5.04

    def __init__(self, number: int, did: list[str], *, apicv: bool) -> None:
        self.number, self._did = number, did
        self.trouble: LabError | None = None
        self.breaks = self.stays_on = False
        self._run_with(apicv=apicv)

    def _run_with(self, *, apicv: bool) -> None:
        modules = {"kvm_intel": {"enable_apicv": "NY"[apicv]}}
        self.facts = replace(FACTS, kernel="6.1.0", kvm_modules=modules)

    async def load_modules(self, kernel: Kernel, *, apicv: bool) -> None:
        self._did.append(f"load {self.number} {kernel.variant} {'NY'[apicv]}")
        self._run_with(apicv=apicv or self.stays_on)
        if self.breaks:
            raise LabError("loading: no", [])

    async def read_file(self, path: str) -> str:
        return f"{len(path)}\n"


@pytest.fixture
def did(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is done, in its order."""
    done: list[str] = []
    boots = iter(range(1, 99))

    @contextlib.asynccontextmanager
    async def boot(image: SimpleNamespace, *_: object) -> AsyncIterator[FakeLab]:
        number = next(boots)
        held = sorted(other.variant for other in image.others)
        done.append(f"boot {number} {image.kernel.variant} {'NY'[image.apicv]} {'+'.join(held)}")
        await asyncio.sleep(0)
        yield FakeLab(number, done, apicv=image.apicv)
        done.append(f"end {number}")

    async def modified(kernel: Kernel, variant: Variant, **_: object) -> Kernel:
        if kernel is OLD and variant is not Variant.UNTOUCHED:
            raise VariantError("nothing to revert")
        return replace(kernel, variant=str(variant), edits=(f"edit-{variant}",))

    monkeypatch.setattr(module, "boot", boot)
    monkeypatch.setattr(module, "modified", modified)
    yield done
    assert {line.split()[1] for line in done if line.startswith("boot")} == {
        line.split()[1] for line in done if line.startswith("end")
    }


def unbuildable(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let the modules of every edited kernel fail to build."""

    async def modified(kernel: Kernel, variant: Variant, **_: object) -> Kernel:
        if variant is not Variant.UNTOUCHED:
            raise error
        return kernel

    monkeypatch.setattr(module, "modified", modified)


async def visit(labs: Labs, *arms: Arm) -> None:
    for arm in arms:
        async with labs.host(arm):
            pass


async def test_one_boot_serves_the_arms_of_a_kernel(did: list[str]) -> None:
    arms = [UNTOUCHED, REVERTED, WITHOUT]
    async with Labs(PARTS, arms, FACTS, None, parallel=1) as labs:
        await visit(labs, *arms)
        assert did == [
            "boot 1 untouched Y revert-fix+revert-fix+untouched",
            "load 1 revert-fix Y",
            "load 1 revert-fix N",
            "end 1",  # at once, as no arm needs it any more
        ]


async def test_an_arm_that_comes_twice_has_fresh_modules_each_time(did: list[str]) -> None:
    async with Labs(PARTS, [REVERTED] * 2, FACTS, None, parallel=1) as labs:
        await visit(labs, REVERTED, REVERTED)
    assert did[1:] == ["load 1 revert-fix Y", "end 1"]


async def test_arms_at_a_time_have_labs_of_their_own(did: list[str]) -> None:
    arms = [UNTOUCHED, REVERTED, WITHOUT]
    async with Labs(PARTS, arms, FACTS, None, parallel=2) as labs, labs.host(REVERTED) as one:
        async with labs.host(UNTOUCHED) as other:
            assert one is not other
        async with labs.host(WITHOUT) as again:
            assert again is other
    assert [line.split()[0] for line in did] == ["boot", "boot", "load", "end", "end"]


async def test_a_lab_of_another_kernel_makes_room(did: list[str]) -> None:
    async with Labs(PARTS, [UNTOUCHED, Arm(OLD), REVERTED], FACTS, None, parallel=1) as labs:
        await visit(labs, UNTOUCHED, Arm(OLD), REVERTED)
    assert [" ".join(line.split()[:2]) for line in did] == [
        "boot 1", "end 1", "boot 2", "end 2", "boot 3", "end 3",
    ]  # fmt: skip


async def test_a_lab_that_failed_serves_nobody_else(did: list[str]) -> None:
    async with Labs(PARTS, [UNTOUCHED] * 3, FACTS, None, parallel=1) as labs:
        with pytest.raises(LabError):
            async with labs.host(UNTOUCHED):
                raise LabError("it stalled", [])
        async with labs.host(UNTOUCHED) as host:
            vars(host)["trouble"] = LabError("it ended", [])
        await visit(labs, UNTOUCHED)
    assert [" ".join(line.split()[:2]) for line in did] == [
        "boot 1", "end 1", "boot 2", "end 2", "boot 3", "end 3",
    ]  # fmt: skip


async def test_modules_that_do_not_load_get_a_fresh_lab_once(did: list[str]) -> None:
    async with Labs(PARTS, [UNTOUCHED, REVERTED, WITHOUT], FACTS, None, parallel=1) as labs:
        async with labs.host(UNTOUCHED) as host:
            vars(host)["breaks"] = True
        async with labs.host(REVERTED) as again:
            assert again is not host
        await visit(labs, WITHOUT)
    assert [" ".join(line.split()[:3]) for line in did] == [
        "boot 1 untouched", "load 1 revert-fix", "end 1",
        "boot 2 revert-fix", "load 2 revert-fix", "end 2",
    ]  # fmt: skip


@pytest.mark.parametrize("error", [UnfitError("no compiler"), ModuleBuildError("make failed")])
async def test_what_cannot_be_built_stops_its_own_arm_only(
    did: list[str], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    unbuildable(monkeypatch, error)
    async with Labs(PARTS, [UNTOUCHED, REVERTED], FACTS, None, parallel=1) as labs:
        await visit(labs, UNTOUCHED)
        with pytest.raises(type(error)):
            await visit(labs, REVERTED)
    assert [line.split()[0] for line in did] == ["boot", "end"]


async def test_a_variant_that_a_kernel_cannot_have_ends_the_run_at_once(did: list[str]) -> None:
    """Its arm comes last, but the first arm must not count for minutes before."""
    reverted = Arm(OLD, Variant.REVERT_FIX)
    async with Labs(PARTS, [Arm(OLD), reverted], FACTS, None, parallel=1) as labs:
        with pytest.raises(VariantError):
            await visit(labs, Arm(OLD))
    assert did == []


async def test_no_lab_idles_for_an_arm_that_cannot_be_built(
    did: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last arm of a kernel ends the kernel's labs, even if it can't be built itself."""
    unbuildable(monkeypatch, UnfitError("no compiler"))
    async with Labs(PARTS, [UNTOUCHED, REVERTED], FACTS, None, parallel=2) as labs:
        await visit(labs, UNTOUCHED)
        with pytest.raises(UnfitError):
            await visit(labs, REVERTED)
        assert did[-1] == "end 1"


async def test_an_arm_runs_with_its_own_apicv_setting_or_not_at_all(did: list[str]) -> None:
    first, second = Arm(NEW), Arm(NEW, apicv=False)
    async with Labs(PARTS, [first, second], FACTS, None, parallel=1) as labs:
        async with labs.host(first) as host:
            host.stays_on = True  # type: ignore[attr-defined]  # of the fake
        with pytest.raises(ClaimError, match="as insmod said, and runs with enable_apicv=Y"):
            await visit(labs, second)
    assert did[-1] == "end 1"


async def test_a_kernel_with_kvm_built_in_is_booted_for_each_setting(did: list[str]) -> None:
    """No module can be loaded anew there: the setting comes by the kernel's command line."""
    built_in = replace(NEW, modules={})
    on, off = Arm(built_in), Arm(built_in, apicv=False)
    async with Labs(PARTS, [on, off, on, off], FACTS, None, parallel=1) as labs:
        await visit(labs, on, on, off)
        async with labs.host(off) as host:
            assert host.facts.kvm_modules["kvm_intel"]["enable_apicv"] == "N"
    assert [" ".join(line.split()[:4]) for line in did] == [
        "boot 1 untouched Y", "load 1 untouched Y", "end 1",
        "boot 2 untouched N", "load 2 untouched N", "end 2",
    ]  # fmt: skip


async def test_an_arm_says_what_it_is_made_of(did: list[str]) -> None:
    partial = Arm(NEW, Variant.PARTIAL, every=4)
    async with Labs(PARTS, [partial], FACTS, None, parallel=1) as labs:
        host = ArmHost(labs, partial)
        assert host.identity().boot_s is None
        async with host.open():
            assert (host.identity().boot_s, host.identity().counters) == (5.0, {})
    identity = host.identity()
    assert identity.edits == ("edit-partial",)
    assert set(identity.counters) == {"losttick_restores", "losttick_lost"}
    assert (identity.kernel, identity.version) == ("debian:6.1.1-1", "6.1.1-1")
    assert identity.emulator == "a Bochs of the test's"
