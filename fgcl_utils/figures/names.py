"""Names of levels and classes in a figure, as text and at a length that leaves it room.

They come from the user's files: never read as HTML, MathJax or mathtext, and never cut off.
"""

import html
import math
import unicodedata
from collections.abc import Mapping, Sequence

LEVELS = ("species", "genus")  # where nobody says otherwise
LONGEST = 48  # letters of a name beside a figure


def levels_of(content: Mapping) -> tuple[str, ...]:
    """Names of the levels of an evaluation.json or a results/<study>.json, finest first."""
    settings = content.get("settings") or {}
    return tuple(content.get("levels") or settings.get("levels") or LEVELS)


def coarser(levels: Sequence[str], figure: str) -> tuple[str, ...]:
    """The levels above the finest, which the figure of that name needs."""
    if len(levels) < 2:
        raise ValueError(
            f"{figure} needs a level above the finest, and there is only {', '.join(levels)}; "
            "where the data have more, name them, finest first, such as levels: [species, genus]"
        )
    return tuple(levels[1:])


def width(text: str) -> int:
    """How many letters wide a text is; a letter of Chinese, Japanese or Korean counts twice."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def shortened(text: str, longest: float = LONGEST) -> str:
    """With an ellipsis in the middle where it is wider than so many letters."""
    text = str(text)
    if width(text) <= longest:
        return text
    kept = int((longest - 1) * len(text) / width(text))
    return f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"


def percent(fraction: float, form: str = ".1%") -> str:
    """A share as the book writes it, "12.3 %", in Python's format `form`; nothing if undefined."""
    if math.isnan(fraction):
        return ""
    return format(fraction, form).replace("-", "−").replace("%", "\N{NO-BREAK SPACE}%")


def plain(text: str, longest: float = LONGEST) -> str:
    """As text in Plotly, which reads some HTML tags, and MathJax between dollar signs."""
    return html.escape(shortened(text, longest), quote=False).replace("$", "&#36;")


def no_math(text: str, longest: float = LONGEST) -> str:
    """As text in matplotlib, which typesets what stands between dollar signs."""
    return shortened(text, longest).replace("$", r"\$")
