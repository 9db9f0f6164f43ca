"""Text that is safe to print: control characters could clear a terminal, retitle it, or forge a line."""

import re

LONGEST = 700
"""Characters of a message, which may contain a path of any length, or what somebody pasted by mistake."""

# C0 and C1 control characters, delete, and the characters that reverse the direction of what follows
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def one_line(text: str) -> str:
    r"""Return a message with every control character, line breaks included, as an escape such as ``\x1b``."""
    return _CONTROLS.sub(_escaped, text)


def shortened(text: str) -> str:
    """Return a message without its middle if it is very long: what is wrong comes first, the advice at the end."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[-LONGEST // 4 :]}"


def printable(text: str) -> str:
    r"""Return a text with every control character but ``\n`` and ``\t`` as an escape."""
    return _CONTROLS.sub(lambda control: control[0] if control[0] in "\n\t" else _escaped(control), text)


def _escaped(control: re.Match[str]) -> str:
    return control[0].encode("unicode_escape").decode("ascii")
