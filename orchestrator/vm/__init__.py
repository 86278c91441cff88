"""One QEMU with its guest: configuration, arguments, start, console."""
