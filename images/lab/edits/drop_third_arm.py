"""Drops the third time that a guest arms its timer after a restore: the guest then freezes."""

from kernel_source import LAPIC, edit, function, indent, statement

COUNTER = """\
/* How often the guest has armed a timer since the last restore of an armed one. */
static unsigned int losttick_arms = 3;

"""


def drop(text: str) -> str:
    """Count the writes to TMICT, and start no timer at the third.

    QEMU also sets the LAPIC of a new vCPU. Its timer is not armed, and nothing is counted.
    """
    restore = function(text, "kvm_apic_set_state").body
    start = statement(text, restore, "start_apic_timer").start
    restored = "losttick_arms = kvm_lapic_get_reg(apic, APIC_TMICT) ? 0 : 3;\n"
    text = text[:start] + restored + indent(text, start) + text[start:]
    write = function(text, "kvm_lapic_reg_write")
    armed = statement(text, write.body, "start_apic_timer").start
    text = text[:armed] + "if (losttick_arms > 2 || ++losttick_arms != 3)\n\t\t\t" + text[armed:]
    return text[: write.start] + COUNTER + text[write.start :]


if __name__ == "__main__":
    edit(LAPIC, drop)
