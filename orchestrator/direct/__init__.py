"""The direct test of KVM_SET_LAPIC on /dev/kvm, without QEMU."""
