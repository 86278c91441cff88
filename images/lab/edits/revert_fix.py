"""Reverts the fix of the lost interrupt: posted interrupts are cleared at the end of a restore.

The call of `apicv_pre_state_restore` moves to just before `apicv_post_state_restore`: after
the restored timer has expired.
"""

from kernel_source import LAPIC, edit, hooks, indent


def revert(text: str) -> str:
    """Move the call."""
    _, pre, post = hooks(text)
    moved = text[pre.start : pre.end] + "\n" + indent(text, post.start)
    return text[: pre.start] + text[pre.end : post.start] + moved + text[post.start :]


if __name__ == "__main__":
    edit(LAPIC, revert)
