"""One virtual machine: QEMU's arguments, its monitor, its console."""
