"""A reason as a sentence."""


def sentence(text: str) -> str:
    """Return a text with a capital at its start and a full stop at its end; empty if it is."""
    text = text.strip().rstrip(".")
    return f"{text[:1].upper()}{text[1:]}." if text else ""
