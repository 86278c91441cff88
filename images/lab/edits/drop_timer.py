"""Forgets a restored timer: its initial count becomes 0, and it never fires."""

from kernel_source import LAPIC, edit, function, indent, statement


def drop(text: str) -> str:
    """Clear TMICT just before `kvm_apic_set_state()` starts the timer."""
    body = function(text, "kvm_apic_set_state").body
    start = statement(text, body, "start_apic_timer").start
    line = "kvm_lapic_set_reg(apic, APIC_TMICT, 0);\n" + indent(text, start)
    return text[:start] + line + text[start:]


if __name__ == "__main__":
    edit(LAPIC, drop)
