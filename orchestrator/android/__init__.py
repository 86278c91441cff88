"""The Android Emulator: finds it, starts it, and sees whether it freezes when it loads."""
