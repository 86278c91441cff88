"""Reverts the fix of the lost interrupt in 1 of N restores that it matters to.

Counted are the restores of an armed, unmasked one-shot timer that expires at once
(TMICT is not 0, TMCCT at most 1000): every N-th clears posted interrupts at its end, as before the
fix, all others at their start. N is the parameter losttick_every of kvm.ko, at insmod or
later (0: never); losttick_restores and losttick_lost count, the second only where APICv is
active.
"""

import re

from kernel_source import LAPIC, PlaceError, Span, edit, hooks, indent

#: The value of N in a built module is the word after the mark.
COUNTERS = """\
#include <linux/moduleparam.h>
#include <linux/spinlock.h>

static struct {
	char mark[16];
	unsigned int every;
} losttick = { "losttick_every:", 1 };
static unsigned int losttick_restores, losttick_lost;
static DEFINE_SPINLOCK(losttick_lock);
module_param_named(losttick_every, losttick.every, uint, 0644);
module_param(losttick_restores, uint, 0444);
module_param(losttick_lost, uint, 0444);

/* Whether posted interrupts are to be cleared at the end of this restore. */
static bool losttick_clears_late(struct kvm_lapic_state *state)
{
	unsigned int every = READ_ONCE(losttick.every);
	bool late;

	if (*(u32 *)(state->regs + APIC_LVTT) & (APIC_LVT_MASKED | 3 << 17))
		return false;
	if (!*(u32 *)(state->regs + APIC_TMICT) || *(u32 *)(state->regs + APIC_TMCCT) > 1000)
		return false;
	spin_lock(&losttick_lock);
	late = ++losttick_restores % (every ?: 1) == 0 && every;
	spin_unlock(&losttick_lock);
	return late;
}

static void losttick_count_lost(struct kvm_vcpu *vcpu)
{
	if (!kvm_vcpu_apicv_active(vcpu))
		return;
	spin_lock(&losttick_lock);
	losttick_lost++;
	spin_unlock(&losttick_lock);
}

"""


def revert(text: str) -> str:
    """Put in the counters, and make both places conditional."""
    function, pre, post = hooks(text)
    state, vcpu = (
        _parameter(function.parameters, kind) for kind in ("kvm_lapic_state", "kvm_vcpu")
    )
    call = text[pre.start : pre.end]
    early = f"if (!losttick_late) {{\n\t\t{call}\n\t}}"
    late = f"if (losttick_late) {{\n\t\t{call}\n\t\tlosttick_count_lost({vcpu});\n\t}}\n"
    edits = [
        (Span(function.start, function.start), COUNTERS),
        (
            Span(function.body.start, function.body.start),
            f"\n\tbool losttick_late = losttick_clears_late({state});",
        ),
        (pre, early),
        (Span(post.start, post.start), late + indent(text, post.start)),
    ]
    for span, new in reversed(edits):
        text = text[: span.start] + new + text[span.end :]
    return text


def _parameter(parameters: str, kind: str) -> str:
    found = re.search(rf"\bstruct {kind} \*(\w+)", parameters)
    if found is None:
        raise PlaceError(f"kvm_apic_set_state() has no parameter of struct {kind}")
    return found[1]


if __name__ == "__main__":
    edit(LAPIC, revert)
