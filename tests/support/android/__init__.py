"""A stand-in for the Android Emulator and adb, with a real QEMU in it."""
