from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.lab import arms as module
from orchestrator.lab.arms import Arm, arms_of, bug_and_fix
from orchestrator.lab.kernel.debian import Debian
from orchestrator.lab.kernel.kernel import Kernel
from orchestrator.lab.kernel.variants import Variant
from orchestrator.verdict.arm import lab_verdict
from orchestrator.verdict.verdict import Verdict

KERNEL = Kernel(Debian("6.1.1-1"), "6.1.1-1", "6.1.0", Path("vmlinuz"), {})


@pytest.mark.parametrize(
    ("arm", "expected"),
    [
        (Arm(KERNEL), None),
        (Arm(KERNEL, apicv=False), None),
        (Arm(KERNEL, Variant.BASE), Verdict.CLEAN),
        (Arm(KERNEL, Variant.REVERT_FIX), Verdict.AFFECTED),
        (Arm(KERNEL, Variant.REVERT_FIX, apicv=False), Verdict.CLEAN),
        (Arm(KERNEL, Variant.PARTIAL), None),
        (Arm(KERNEL, Variant.PARTIAL, apicv=False), Verdict.CLEAN),
        (Arm(KERNEL, Variant.DROP_TIMER), Verdict.ANOMALOUS),
        (Arm(KERNEL, Variant.DROP_TIMER, apicv=False), Verdict.ANOMALOUS),
        (Arm(KERNEL, Variant.NEVER_START), Verdict.ANOMALOUS),
        (Arm(KERNEL, Variant.NEVER_START, apicv=False), Verdict.ANOMALOUS),
        (Arm(KERNEL, Variant.OTHER_VECTOR), None),
        (Arm(KERNEL, Variant.OTHER_VECTOR, apicv=False), None),
    ],
)
def test_the_answer_of_an_edited_arm_is_known(arm: Arm, expected: Verdict | None) -> None:
    assert arm.expected is expected
    assert arm.identity("an emulator").expected == expected
    assert arm.identity("an emulator").name == arm.name


@pytest.mark.parametrize(
    ("untouched", "reverted", "without", "verdict"),
    [
        (Verdict.CLEAN, Verdict.AFFECTED, Verdict.CLEAN, Verdict.CLEAN),
        (Verdict.CLEAN, Verdict.CLEAN, Verdict.CLEAN, Verdict.INCONCLUSIVE),
        (Verdict.CLEAN, Verdict.AFFECTED, Verdict.AFFECTED, Verdict.INCONCLUSIVE),
        (Verdict.CLEAN, Verdict.SKIPPED, Verdict.CLEAN, Verdict.INCONCLUSIVE),
        (Verdict.AFFECTED, Verdict.CLEAN, Verdict.CLEAN, Verdict.AFFECTED),
        (Verdict.ANOMALOUS, Verdict.AFFECTED, Verdict.CLEAN, Verdict.ANOMALOUS),
    ],
)
def test_the_run_is_as_clean_as_its_known_arms_prove(
    untouched: Verdict, reverted: Verdict, without: Verdict, verdict: Verdict,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(module, "has_wants_to_run", lambda kernel: False)
    arms = bug_and_fix(KERNEL)
    got = zip(arms, (untouched, reverted, without), strict=True)
    assert lab_verdict([(arm.identity("an emulator"), each) for arm, each in got]) is verdict


def test_without_a_question_the_gravest_arm_counts() -> None:
    reverted = Arm(KERNEL, Variant.REVERT_FIX).identity("an emulator")
    base = Arm(KERNEL, Variant.BASE).identity("an emulator")
    arms = [(base, Verdict.CLEAN), (reverted, Verdict.AFFECTED)]
    assert lab_verdict(arms) is Verdict.AFFECTED


def test_arms_are_kernels_times_variants(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def kernel(name: str, say: Callable[[str], None]) -> Kernel:
        version = "b" if name == "b's suite" else name
        (tmp_path / version).write_text(version)
        return Kernel(Debian(name), version, "6.1.0", tmp_path / version, {})

    monkeypatch.setattr(module, "kernel", kernel)
    monkeypatch.setattr(module, "default_kernel", lambda: KERNEL)
    monkeypatch.setattr(module, "has_wants_to_run", lambda kernel: True)
    named = arms_of(
        ["a", "b", "a", "b's suite"], [Variant.BASE, Variant.PARTIAL], apicv=False, every=4
    )
    assert [arm.name for arm in named] == [
        "a/base/no-apicv", "a/partial/no-apicv", "b/base/no-apicv", "b/partial/no-apicv",
    ]  # fmt: skip
    assert [arm.identity("an emulator").every for arm in named] == [None, 4, None, 4]
    assert [arm.name for arm in arms_of([], [])] == [
        "6.1.1-1/untouched", "6.1.1-1/base", "6.1.1-1/revert-fix", "6.1.1-1/revert-fix/no-apicv",
    ]  # fmt: skip
    assert [arm.name for arm in arms_of([], [], apicv=False)] == ["6.1.1-1/untouched/no-apicv"]
