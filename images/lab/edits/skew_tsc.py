"""Puts the TSC of a guest's second vCPU 5 ms further ahead of the other ones at each restore."""

from kernel_source import PlaceError, code, edit_all, function, indent, statement


def skew(text: str) -> str | None:
    """Change the offset just before `kvm_synchronize_tsc()` sets it; None without that function.

    QEMU also writes the TSC of a vCPU that has not run yet, and 0 at a reset: nothing is changed
    then.
    """
    if "kvm_synchronize_tsc(struct" not in code(text):
        return None
    found = function(text, "kvm_synchronize_tsc")
    if " data" not in code(text)[found.start : found.body.end]:
        raise PlaceError("kvm_synchronize_tsc() has no variable data")
    start = statement(text, found.body, "synchronize_tsc").start
    lines = (
        "if (vcpu->vcpu_id == 1 && data && vcpu->stat.exits) {\n"
        "\t\tstatic u64 losttick_ms;\n"
        "\t\tlosttick_ms += 5;\n"
        "\t\toffset += losttick_ms * vcpu->arch.virtual_tsc_khz;\n"
        "\t}\n" + indent(text, start)
    )
    return text[:start] + lines + text[start:]


if __name__ == "__main__":
    edit_all(("arch/x86/kvm/x86.c", "arch/x86/kvm/msrs.c"), skew)
