"""Never starts a restored one-shot timer that would expire at once: nothing is ever posted.

TMICT stays, TMCCT reads 0 and nothing is pending: the guest testifies as after a lost interrupt.
"""

from kernel_source import LAPIC, edit, function, statement


def skip(text: str) -> str:
    """Start the timer in `kvm_apic_set_state()` only if it is not such a timer."""
    body = function(text, "kvm_apic_set_state").body
    start = statement(text, body, "start_apic_timer").start
    condition = "if (!apic_lvtt_oneshot(apic) || kvm_lapic_get_reg(apic, APIC_TMCCT))\n\t\t"
    return text[:start] + condition + text[start:]


if __name__ == "__main__":
    edit(LAPIC, skip)
