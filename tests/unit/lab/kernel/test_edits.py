import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.cache.program import shipped
from tests.support.lapic_source import PLAIN, SPELLINGS, STATIC_CALL, source
from tests.support.program_here import run_here

LAPIC = "arch/x86/kvm/lapic.c"


def run_edit(
    tmp_path: Path, name: str, text: str, file: str = LAPIC
) -> subprocess.CompletedProcess[str]:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    return run_here(shipped(f"edits/{name}.py"), tmp_path)


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


@pytest.mark.parametrize(
    "name", ["revert_fix", "partial_revert", "drop_wants_to_run", "drop_timer"]
)
def test_an_edit_needs_a_folder(tmp_path: Path, name: str) -> None:
    program = shipped(f"edits/{name}.py")
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"usage: {name}.py SOURCE_DIR\n")
    done = subprocess.run(
        [sys.executable, program, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "No such file" in done.stderr
