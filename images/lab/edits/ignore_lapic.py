"""Gives KVM_SET_LAPIC no effect: the call succeeds, and the LAPIC stays as it was."""

from kernel_source import LAPIC, edit, function


def ignore(text: str) -> str:
    """Make the body of `kvm_apic_set_state()` unreachable."""
    start = function(text, "kvm_apic_set_state").body.start
    return text[:start] + "\n\tif (vcpu)\n\t\treturn 0;\n" + text[start:]


if __name__ == "__main__":
    edit(LAPIC, ignore)
