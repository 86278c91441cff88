"""Delivers the first timer interrupt after a restore on the next vector: 0x41 for 0x40."""

from kernel_source import LAPIC, edit, function, indent, statement

LOADED = """\
/* The LAPIC that was restored, until its timer has fired once. */
static struct kvm_lapic *losttick_loaded;

"""


def divert(text: str) -> str:
    """Note the restored LAPIC, and change the vector that `kvm_apic_local_deliver()` delivers."""
    restore = function(text, "kvm_apic_set_state").body
    start = statement(text, restore, "start_apic_timer").start
    text = text[:start] + "losttick_loaded = apic;\n" + indent(text, start) + text[start:]
    deliver = function(text, "kvm_apic_local_deliver")
    taken = statement(text, deliver.body, "APIC_VECTOR_MASK")
    change = (
        "\n\t\tif (lvt_type == APIC_LVTT && losttick_loaded == apic) {\n"
        "\t\t\tlosttick_loaded = NULL;\n\t\t\tvector++;\n\t\t}"
    )
    text = text[: taken.end] + change + text[taken.end :]
    return text[: deliver.start] + LOADED + text[deliver.start :]


if __name__ == "__main__":
    edit(LAPIC, divert)
