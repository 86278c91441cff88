"""C text with the shape of the kernel's lapic.c, for tests of the edits made to it."""

#: Ours: only the names are the kernel's.
SOURCE = """\
#include <nothing.h>

/* apicv_pre_state_restore and kvm_apic_set_state(x) are spoken of here. */
static void apic_timer_expired(struct lapic *lapic, bool now)
{
	if (now && lapic->on && vcpu->wants_to_run) { /* vcpu->wants_to_run */
		fire("vcpu->wants_to_run;");
	}
}

int other(void);

int kvm_apic_set_state(struct kvm_vcpu *v, struct kvm_lapic_state *state)
{
	int first;

	PRE
	begin(v);
#ifdef CONFIG_THING
	thing(v);
#endif
	if (first) {
		first = 0;
	}
	__start_apic_timer(v, 1);
	POST
	return 0;
}
"""

STATIC_CALL = (
    "static_call_cond(kvm_x86_apicv_pre_state_restore)(v);",
    "if (on) {\n\t\tstatic_call_cond(kvm_x86_apicv_post_state_restore)(v);\n\t}",
)

SPELLINGS = [
    STATIC_CALL,
    ("static_call(kvm_x86_apicv_pre_state_restore)(v);",
     "static_call(kvm_x86_apicv_post_state_restore)(v);"),
    ("kvm_x86_call(apicv_pre_state_restore)(v);",
     "if (v->on)\n\t\tkvm_x86_call(apicv_post_state_restore)(v);"),
    ("if (kvm_x86_ops.apicv_pre_state_restore)\n\t\tkvm_x86_ops.apicv_pre_state_restore(v);",
     "if (on) {\n\t\tkvm_x86_ops.apicv_post_state_restore(v);\n\t}"),
]  # fmt: skip


def source(pre: str, post: str) -> str:
    return SOURCE.replace("PRE", pre).replace("POST", post)


PLAIN = source(*STATIC_CALL)
