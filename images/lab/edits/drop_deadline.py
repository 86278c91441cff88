"""Drops IA32_TSC_DEADLINE when a program such as QEMU writes it, and not the guest itself."""

from kernel_source import code, edit_all, function

CALL = "kvm_set_lapic_tscdeadline_msr("


def drop(text: str) -> str | None:
    """Make the call in `kvm_set_msr_common()` conditional; None if that is not defined here."""
    if "int kvm_set_msr_common(" not in code(text):
        return None
    body = function(text, "kvm_set_msr_common").body
    start = code(text).index(CALL, body.start, body.end)
    return text[:start] + "if (!msr_info->host_initiated)\n\t\t\t" + text[start:]


if __name__ == "__main__":
    edit_all(("arch/x86/kvm/x86.c", "arch/x86/kvm/msrs.c"), drop)
