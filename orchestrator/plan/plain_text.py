"""Text of a plan that goes to the kernel: a path, or an argument of a program."""

from typing import Annotated

from pydantic import AfterValidator, Field

#: Longest path that Linux takes, in bytes.
LONGEST_PATH = 4096


def plain(text: str) -> str:
    """Return a text that the kernel takes as it is.

    Raises:
        ValueError: it has control characters, or is not Unicode.
    """
    if any(character < " " or character == "\x7f" for character in text):
        raise ValueError("it has a control character, such as a line break")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("it is not UTF-8 text") from None
    return text


#: A path, or the name of a program.
PlainPath = Annotated[str, Field(min_length=1, max_length=LONGEST_PATH), AfterValidator(plain)]
