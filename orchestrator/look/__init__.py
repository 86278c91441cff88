"""Looks at a virtual machine that runs already, and says whether it is frozen, and how."""
