"""The computer whose KVM is under test, behind one protocol."""
