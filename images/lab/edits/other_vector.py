"""Delivers the first timer interrupt after a restore on 0x41, the guest's other vector.

The built-in control of the tick firmware has its timer on 0x41 already, and keeps it.
"""

from kernel_source import LAPIC, edit, function, indent, statement

LOADED = """\
/* The LAPIC that was restored with an armed timer, until this timer has fired once. */
static struct kvm_lapic *losttick_loaded;

"""


def divert(text: str) -> str:
    """Note the restored LAPIC, and change the vector that `kvm_apic_local_deliver()` delivers.

    QEMU also sets the LAPIC of a new vCPU. Its timer is not armed, and nothing is changed.
    """
    restore = function(text, "kvm_apic_set_state").body
    start = statement(text, restore, "start_apic_timer").start
    restored = "losttick_loaded = kvm_lapic_get_reg(apic, APIC_TMICT) ? apic : NULL;\n"
    text = text[:start] + restored + indent(text, start) + text[start:]
    deliver = function(text, "kvm_apic_local_deliver")
    taken = statement(text, deliver.body, "APIC_VECTOR_MASK")
    change = (
        "\n\t\tif (lvt_type == APIC_LVTT && losttick_loaded == apic) {\n"
        "\t\t\tlosttick_loaded = NULL;\n\t\t\tvector |= 1;\n\t\t}"
    )
    text = text[: taken.end] + change + text[taken.end :]
    return text[: deliver.start] + LOADED + text[deliver.start :]


if __name__ == "__main__":
    edit(LAPIC, divert)
