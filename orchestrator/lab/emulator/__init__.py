"""The emulator Bochs, and the media that it boots."""
