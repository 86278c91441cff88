import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.cache.program import shipped
from orchestrator.lab.kernel import variants
from orchestrator.lab.kernel.kernel import Kernel
from orchestrator.lab.kernel.steps import ModuleBuildError, Steps
from orchestrator.lab.kernel.variants import (
    Variant,
    VariantError,
    has_wants_to_run,
    modified,
    modify,
)

LAPIC = "arch/x86/kvm/lapic.c"

#: Ours: only the names are the kernel's.
SOURCE = """\
#include <nothing.h>

/* apicv_pre_state_restore and kvm_apic_set_state(x) are spoken of here. */
static void apic_timer_expired(struct lapic *lapic, bool now)
{
	if (now && lapic->on && vcpu->wants_to_run) { /* vcpu->wants_to_run */
		fire("vcpu->wants_to_run;");
	}
}

int other(void);

int kvm_apic_set_state(struct kvm_vcpu *v, struct kvm_lapic_state *state)
{
	int first;

	PRE
	begin(v);
#ifdef CONFIG_THING
	thing(v);
#endif
	if (first) {
		first = 0;
	}
	__start_apic_timer(v, 1);
	POST
	return 0;
}
"""

STATIC_CALL = (
    "static_call_cond(kvm_x86_apicv_pre_state_restore)(v);",
    "if (on) {\n\t\tstatic_call_cond(kvm_x86_apicv_post_state_restore)(v);\n\t}",
)

SPELLINGS = [
    STATIC_CALL,
    ("static_call(kvm_x86_apicv_pre_state_restore)(v);",
     "static_call(kvm_x86_apicv_post_state_restore)(v);"),
    ("kvm_x86_call(apicv_pre_state_restore)(v);",
     "if (v->on)\n\t\tkvm_x86_call(apicv_post_state_restore)(v);"),
    ("if (kvm_x86_ops.apicv_pre_state_restore)\n\t\tkvm_x86_ops.apicv_pre_state_restore(v);",
     "if (on) {\n\t\tkvm_x86_ops.apicv_post_state_restore(v);\n\t}"),
]  # fmt: skip


def source(pre: str, post: str) -> str:
    return SOURCE.replace("PRE", pre).replace("POST", post)


PLAIN = source(*STATIC_CALL)


def run_edit(
    tmp_path: Path, name: str, text: str, file: str = LAPIC
) -> subprocess.CompletedProcess[str]:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    return subprocess.run(
        [sys.executable, str(shipped(f"edits/{name}.py")), str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def edited(tmp_path: Path, name: str, text: str, file: str = LAPIC) -> str:
    done = run_edit(tmp_path, name, text, file)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
    return (tmp_path / file).read_text()


def refused(tmp_path: Path, name: str, text: str, file: str = LAPIC) -> str:
    done = run_edit(tmp_path, name, text, file)
    assert done.returncode == 1
    assert (tmp_path / file).read_text() == text
    (sentence,) = done.stderr.splitlines()
    return sentence


@pytest.mark.parametrize(("pre", "post"), SPELLINGS)
def test_the_call_moves_to_the_end(tmp_path: Path, pre: str, post: str) -> None:
    found = edited(tmp_path, "revert_fix", source(pre, post))
    assert found.count(pre) == 1
    assert found.index("__start_apic_timer") < found.index(pre) < found.index("apicv_post_state")
    between = found[found.index(pre) + len(pre) : found.index("apicv_post_state")]
    assert ";" not in between
    assert found.count("{") == found.count("}")
    # Nothing else is another.
    assert sorted(found.split()) == sorted(source(pre, post).split())


@pytest.mark.parametrize(("pre", "post"), SPELLINGS)
def test_the_call_is_made_early_or_late(tmp_path: Path, pre: str, post: str) -> None:
    found = edited(tmp_path, "partial_revert", source(pre, post))
    head, early, middle, late, tail = _parts(found, pre)
    assert "module_param_named(losttick_every" in head
    assert "bool losttick_late = losttick_clears_late(state);" in early
    assert early.rstrip().endswith("if (!losttick_late) {")
    assert "__start_apic_timer" in middle
    assert late == "losttick_count_lost(v);"
    assert "apicv_post_state_restore" in tail
    assert found.count("{") == found.count("}")


def _parts(found: str, pre: str) -> tuple[str, str, str, str, str]:
    start = found.index("int kvm_apic_set_state(struct")
    early, middle, end = found[start:].split(pre)
    late, _, tail = end.strip().partition("\n")
    return found[:start], early, middle, late, tail


def test_the_condition_is_removed(tmp_path: Path) -> None:
    found = edited(tmp_path, "drop_wants_to_run", PLAIN)
    assert "if (now && lapic->on) { /* vcpu->wants_to_run */" in found
    assert len(found) == len(PLAIN) - len(" && vcpu->wants_to_run")


def test_the_timer_is_forgotten(tmp_path: Path) -> None:
    found = edited(tmp_path, "drop_timer", PLAIN)
    line = "kvm_lapic_set_reg(apic, APIC_TMICT, 0);\n\t"
    assert found == PLAIN.replace("__start_apic_timer", f"{line}__start_apic_timer")


@pytest.mark.parametrize("header", ["vmx.h", "common.h"])
def test_the_descriptor_is_aligned(tmp_path: Path, header: str) -> None:
    text = "struct vcpu_vmx {\n\t/* struct pi_desc pi_desc; */\n\tstruct pi_desc pi_desc;\n};\n"
    (tmp_path / "arch/x86/kvm/vmx").mkdir(parents=True)
    (tmp_path / "arch/x86/kvm/vmx/other.h").write_text("struct pi_desc *pi_desc;\n")
    found = edited(tmp_path, "align_pi_desc", text, f"arch/x86/kvm/vmx/{header}")
    assert "\n\tstruct pi_desc pi_desc __aligned(4096);\n" in found
    assert found.count("__aligned") == 1


TWICE = PLAIN.replace("int other(void);", "int kvm_apic_set_state(int x)\n{\n}\n")


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("revert_fix", "int x;\n", "kvm_apic_set_state() is defined 0 times, not once"),
        ("revert_fix", TWICE, "kvm_apic_set_state() is defined 2 times, not once"),
        (
            "revert_fix",
            source("", STATIC_CALL[1]),
            "apicv_pre_state_restore is in 0 statements of the function, not in one",
        ),
        (
            "revert_fix",
            source(STATIC_CALL[0] * 2, STATIC_CALL[1]),
            "apicv_pre_state_restore is in 2 statements of the function, not in one",
        ),
        (
            "revert_fix",
            source(STATIC_CALL[0], ""),
            "apicv_post_state_restore is in 0 statements of the function, not in one",
        ),
        (
            "revert_fix",
            source(STATIC_CALL[1], STATIC_CALL[0]),
            "kvm_apic_set_state() does not call apicv_pre_state_restore at its start",
        ),
        (
            "revert_fix",
            source(f"if (v) {{ {STATIC_CALL[0]} }}", STATIC_CALL[1]),
            "kvm_apic_set_state() does not call apicv_pre_state_restore at its start",
        ),
        ("partial_revert", "int x;\n", "kvm_apic_set_state() is defined 0 times, not once"),
        (
            "partial_revert",
            PLAIN.replace("struct kvm_lapic_state *state", "void *state"),
            "kvm_apic_set_state() has no parameter of struct kvm_lapic_state",
        ),
        (
            "drop_wants_to_run",
            PLAIN.replace("on && vcpu->wants_to_run", "on"),
            "apic_timer_expired() has the condition wants_to_run 0 times, not once",
        ),
        (
            "drop_wants_to_run",
            PLAIN.replace("now && lapic->on", "now && v->wants_to_run"),
            "apic_timer_expired() has the condition wants_to_run 2 times, not once",
        ),
        (
            "drop_timer",
            PLAIN.replace("__start_apic_timer(v, 1);", ""),
            "start_apic_timer is in 0 statements of the function, not in one",
        ),
    ],
)
def test_an_edit_refuses_what_it_does_not_know(
    tmp_path: Path, name: str, text: str, sentence: str
) -> None:
    assert refused(tmp_path, name, text) == f"{LAPIC}: {sentence}"


def test_the_alignment_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    member = "\tstruct pi_desc pi_desc;\n"
    words = "headers have a member struct pi_desc pi_desc, not one"
    file = "arch/x86/kvm/vmx/vmx.h"
    assert refused(tmp_path, "align_pi_desc", "", file) == f"arch/x86/kvm/vmx: 0 {words}"
    assert refused(tmp_path, "align_pi_desc", member * 2, file) == (
        f"{file}: struct pi_desc pi_desc is a member 2 times, not once"
    )
    (tmp_path / "arch/x86/kvm/vmx/common.h").write_text(member)
    assert refused(tmp_path, "align_pi_desc", member, file) == f"arch/x86/kvm/vmx: 2 {words}"


@pytest.mark.parametrize(
    "name", ["revert_fix", "partial_revert", "drop_wants_to_run", "drop_timer", "align_pi_desc"]
)
def test_an_edit_needs_a_folder(tmp_path: Path, name: str) -> None:
    program = shipped(f"edits/{name}.py")
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"usage: {name}.py SOURCE_DIR\n")
    if name != "align_pi_desc":
        done = subprocess.run(
            [sys.executable, program, tmp_path], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert "No such file" in done.stderr


def a_kernel(name: str = "debian:9.1.1-1", **modules: bytes) -> Kernel:
    return Kernel(name, "9.1.1-1", "9.1.0", Path("vmlinuz"),
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
    found = modify(kernel, variant, realigned=True)
    assert found.modules["kvm-intel"] == edits + b"+align_pi_desc"
    assert found.variant == f"{variant}, realigned"


def test_without_the_condition_the_base_is_the_kernel_itself(lapic: Callable[[str], None]) -> None:
    lapic(PLAIN.replace("wants_to_run", "on"))
    kernel = a_kernel(**BOTH)
    assert not has_wants_to_run(kernel)
    assert modify(kernel, Variant.REVERT_FIX).modules["kvm"] == b"revert_fix"
    with pytest.raises(VariantError, match="base and untouched are the same"):
        modify(kernel, Variant.BASE)


def test_untouched_is_not_built(lapic: Callable[[str], None]) -> None:
    kernel = a_kernel(**BOTH)
    assert modify(kernel, Variant.UNTOUCHED) is kernel
    lapic(PLAIN)
    found = modify(kernel, Variant.UNTOUCHED, realigned=True)
    assert (found.modules["kvm"], found.variant) == (b"align_pi_desc", "untouched, realigned")


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
    with pytest.raises(VariantError, match=r"Edit the tree by a program of .*edits, and build it"):
        modify(a_kernel("tree:/x", **BOTH), Variant.REVERT_FIX)
    with pytest.raises(VariantError, match="only kernels of packages are edited"):
        has_wants_to_run(a_kernel("tree:/x"))


def test_a_step_that_fails_says_why() -> None:
    with pytest.raises(ModuleBuildError, match=r"^building: a\.c:1: error: no$"):
        Steps().run(["sh", "-c", "echo 'CC a'; echo 'a.c:1: error: no'; exit 2"], "building")
    heard: list[str] = []
    Steps().run(["sh", "-c", "echo '  CC a'; echo b"], "building", heard.append)
    assert heard == ["CC a", "b"]


async def test_a_cancelled_build_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def build(
        kernel: Kernel, variant: Variant, *, progress: Callable[[int, int], None], steps: Steps,
        **options: object,
    ) -> Kernel:  # fmt: skip
        progress(1, 2)
        with pytest.raises(ModuleBuildError):
            steps.run(["sh", "-c", "sleep 60 & wait"], "building")
        with pytest.raises(ModuleBuildError, match="cancelled"):
            steps.run(["true"], "building")
        loop.call_soon_threadsafe(ended.set)
        return kernel

    ended = asyncio.Event()
    monkeypatch.setattr(variants, "modify", build)
    task = asyncio.create_task(
        modified(a_kernel(), Variant.REVERT_FIX, progress=lambda done, total: begun.set())
    )
    await begun.wait()
    await asyncio.sleep(0.1)  # either way it ends: before the step begins, or in it
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(10):
        await ended.wait()


def test_a_step_ends_with_a_killed_process(tmp_path: Path) -> None:
    said = tmp_path / "pid"
    program = (
        "from orchestrator.lab.kernel.steps import Steps\n"
        f"Steps().run(['sh', '-c', 'echo $$ >{said}.new; mv {said}.new {said}; exec sleep 60'],"
        " 'sleeping')"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[2])
    deadline = time.monotonic() + 20
    while not said.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    pid = int(said.read_text())
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(pid, 0)
            time.sleep(0.02)
