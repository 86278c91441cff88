"""The machine whose KVM is under test, behind one protocol."""
