"""Drops the third time that a guest arms its timer after a restore: the guest then freezes."""

from kernel_source import LAPIC, edit, function, indent, statement

COUNTER = """\
/* How often the guest has armed a timer since the last restore. */
static unsigned int losttick_arms;

"""


def drop(text: str) -> str:
    """Count the writes to TMICT, and start no timer at the third."""
    restore = function(text, "kvm_apic_set_state").body
    start = statement(text, restore, "start_apic_timer").start
    text = text[:start] + "losttick_arms = 0;\n" + indent(text, start) + text[start:]
    write = function(text, "kvm_lapic_reg_write")
    armed = statement(text, write.body, "start_apic_timer").start
    text = text[:armed] + "if (++losttick_arms != 3)\n\t\t\t" + text[armed:]
    return text[: write.start] + COUNTER + text[write.start :]


if __name__ == "__main__":
    edit(LAPIC, drop)
