"""Lets a restored one-shot timer fire some time after the restore, instead of at once."""

from kernel_source import function, statement


def shift(text: str, percent: int) -> str:
    """Start the timer in `kvm_apic_set_state()` so that it fires after part of its period.

    Args:
        text: the source of the emulated LAPIC.
        percent: time from the restore to the first tick, in percent of the timer's period.
    """
    body = function(text, "kvm_apic_set_state").body
    start, end = statement(text, body, "start_apic_timer")
    usual = text[start:end]
    shifted = f"""\
if (apic_lvtt_oneshot(apic) && !kvm_lapic_get_reg(apic, APIC_TMCCT)) {{
		u64 losttick_ns;

		__start_apic_timer(apic, APIC_TMICT);
		losttick_ns = apic->lapic_timer.period;
		losttick_ns = losttick_ns / 100 * {percent};
		cancel_apic_timer(apic);
		apic->lapic_timer.target_expiration = ktime_add_ns(ktime_get(), losttick_ns);
		apic->lapic_timer.tscdeadline = kvm_read_l1_tsc(apic->vcpu, rdtsc()) +
			nsec_to_cycles(apic->vcpu, losttick_ns);
		if (losttick_ns)
			restart_apic_timer(apic);
	}} else {{
		{usual}
	}}"""
    return text[:start] + shifted + text[end:]
