"""The edits that put faults other than the known bug into a kernel's KVM."""

import subprocess
from pathlib import Path

import pytest

from orchestrator.cache.program import shipped
from tests.support.program_here import run_here

LAPIC, X86, MSRS = (f"arch/x86/kvm/{name}.c" for name in ("lapic", "x86", "msrs"))

#: Ours: only the names are the kernel's.
SOURCE = """\
static int kvm_lapic_reg_write(struct kvm_lapic *apic, u32 reg, u32 val)
{
	switch (reg) {
	case APIC_TMICT:
		set(apic, val);
		start_apic_timer(apic);
		break;
	}
	return 0;
}

int kvm_apic_local_deliver(struct kvm_lapic *apic, int lvt_type)
{
	if (on(apic)) {
		vector = reg & APIC_VECTOR_MASK;
		return accept(apic, vector);
	}
	return 0;
}

int kvm_apic_set_state(struct kvm_vcpu *vcpu, struct kvm_lapic_state *s)
{
	begin(vcpu);
	__start_apic_timer(apic, APIC_TMCCT);
	return 0;
}
"""

MSR = """\
static void fast(struct kvm_vcpu *vcpu)
{
	kvm_set_lapic_tscdeadline_msr(vcpu, data);
}

int kvm_set_msr_common(struct kvm_vcpu *vcpu, struct msr_data *msr_info)
{
	switch (msr) {
	case MSR_IA32_TSC_DEADLINE:
		kvm_set_lapic_tscdeadline_msr(vcpu, data);
		break;
	}
}
"""


def run(tmp_path: Path, name: str, files: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    for file, text in files.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    return run_here(shipped(f"edits/{name}.py"), tmp_path)


@pytest.mark.parametrize(
    ("name", "within", "lines"),
    [
        (
            "never_start",
            "kvm_apic_set_state",
            "if (!apic_lvtt_oneshot(apic) || kvm_lapic_get_reg(apic, APIC_TMCCT))\n"
            "\t\t__start_apic_timer(apic, APIC_TMCCT);",
        ),
        (
            "other_vector",
            "kvm_apic_set_state",
            "losttick_loaded = kvm_lapic_get_reg(apic, APIC_TMICT) ? apic : NULL;\n"
            "\t__start_apic_timer(",
        ),
        (
            "other_vector",
            "kvm_apic_local_deliver",
            "vector = reg & APIC_VECTOR_MASK;\n"
            "\t\tif (lvt_type == APIC_LVTT && losttick_loaded == apic) {",
        ),
        (
            "late_tick",
            "kvm_apic_set_state",
            "if (apic_lvtt_oneshot(apic) && !kvm_lapic_get_reg(apic, APIC_TMCCT)) {\n"
            "\t\tu64 losttick_ns;",
        ),
        ("late_tick", "kvm_apic_set_state", "losttick_ns / 100 * 140;"),
        (
            "late_tick",
            "kvm_apic_set_state",
            "restart_apic_timer(apic);\n\t} else {\n"
            "\t\t__start_apic_timer(apic, APIC_TMCCT);\n\t}\n\treturn 0;",
        ),
        ("early_tick", "kvm_apic_set_state", "losttick_ns / 100 * 25;"),
        ("third_period", "kvm_apic_set_state", "losttick_ns / 100 * 300;"),
        ("ignore_lapic", "kvm_apic_set_state", "if (vcpu)\n\t\treturn 0;\n\n\tbegin(vcpu);"),
        (
            "halve_period",
            "kvm_apic_set_state",
            "kvm_lapic_get_reg(apic, APIC_TMICT) / 2);\n\t__start_apic_timer(apic, APIC_TMCCT);",
        ),
        (
            "drop_third_arm",
            "kvm_apic_set_state",
            "losttick_arms = kvm_lapic_get_reg(apic, APIC_TMICT) ? 0 : 3;\n\t__start_apic_timer(",
        ),
        (
            "drop_third_arm",
            "kvm_lapic_reg_write",
            "if (losttick_arms > 2 || ++losttick_arms != 3)\n\t\t\tstart_apic_timer(apic);",
        ),
    ],
)
def test_a_fault_is_put_into_its_function(
    tmp_path: Path, name: str, within: str, lines: str
) -> None:
    done = run(tmp_path, name, {LAPIC: SOURCE})
    assert (done.returncode, done.stderr) == (0, "")
    text = (tmp_path / LAPIC).read_text()
    body = text[text.index(f"int {within}(") :].partition("\n}\n")[0]
    assert lines in body
    assert text.count("{") == text.count("}")
    refused = run(tmp_path, name, {LAPIC: SOURCE.replace(within, "other")})
    assert refused.returncode == 1
    assert f"{within}() is defined 0 times, not once" in refused.stderr


@pytest.mark.parametrize(
    ("name", "declared"),
    [
        (
            "drop_third_arm",
            "armed one. */\nstatic unsigned int losttick_arms = 3;\n\n"
            "static int kvm_lapic_reg_write(",
        ),
        (
            "other_vector",
            "fired once. */\nstatic struct kvm_lapic *losttick_loaded;\n\n"
            "int kvm_apic_local_deliver(",
        ),
    ],
)
def test_what_a_fault_remembers_is_declared_before_its_use(
    tmp_path: Path, name: str, declared: str
) -> None:
    run(tmp_path, name, {LAPIC: SOURCE})
    text = (tmp_path / LAPIC).read_text()
    assert declared in text
    assert text.index(declared) < text.index("kvm_apic_set_state(")


@pytest.mark.parametrize("file", [X86, MSRS])
def test_only_the_programs_write_of_the_deadline_is_dropped(tmp_path: Path, file: str) -> None:
    done = run(tmp_path, "drop_deadline", {X86: "int x;\n", file: MSR})
    assert (done.returncode, done.stderr) == (0, "")
    head, _, tail = (tmp_path / file).read_text().partition("int kvm_set_msr_common(")
    assert "host_initiated" not in head
    assert "if (!msr_info->host_initiated)\n\t\t\tkvm_set_lapic_tscdeadline_msr(" in tail


def test_the_dropped_deadline_has_one_place(tmp_path: Path) -> None:
    for files, many in (({X86: "int x;\n"}, 0), ({X86: MSR, MSRS: MSR}, 2)):
        done = run(tmp_path, "drop_deadline", files)
        assert done.returncode == 1
        assert f"{many} of them have the place, not one" in done.stderr


TSC = """\
static void __kvm_synchronize_tsc(struct kvm_vcpu *vcpu, u64 offset, u64 tsc)
{
	write_offset(vcpu, offset);
}

void kvm_synchronize_tsc(struct kvm_vcpu *vcpu, u64 data)
{
	offset = offset_for(vcpu, data);
	__kvm_synchronize_tsc(vcpu, offset, data);
	unlock(vcpu);
}
"""


@pytest.mark.parametrize("file", [X86, MSRS])
def test_only_a_restored_tsc_of_the_second_vcpu_is_shifted(tmp_path: Path, file: str) -> None:
    done = run(tmp_path, "skew_tsc", {X86: "int x;\n", file: TSC})
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        "\tif (vcpu->vcpu_id == 1 && data && vcpu->stat.exits) {\n"
        "\t\tstatic u64 losttick_ms;\n"
        "\t\tlosttick_ms += 5;\n"
        "\t\toffset += losttick_ms * vcpu->arch.virtual_tsc_khz;\n"
        "\t}\n\t__kvm_synchronize_tsc(vcpu, offset, data);"
    ) in (tmp_path / file).read_text()
    refused = run(tmp_path, "skew_tsc", {X86: TSC.replace("data", "tsc"), MSRS: "int x;\n"})
    assert refused.returncode == 1
    assert "has no variable data" in refused.stderr
