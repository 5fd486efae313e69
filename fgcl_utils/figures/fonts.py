"""Letters that matplotlib's font lacks, taken from other installed fonts: names come in any script.

A browser does this by itself, so Plotly's figures need nothing of it.
"""

import functools
import warnings
from collections.abc import Iterable

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

_BOXES = (".", "Last Resort")  # how fonts begin that have every letter, as a box
_told: set[str] = set()  # letters that no installed font has, and of which we have said so


def fall_back(figure: Figure) -> None:
    """Let the texts of a figure use further fonts; warn once of letters that none has."""
    for ax in figure.axes:  # labels of ticks exist only once they are asked for
        ax.get_xticklabels(), ax.get_yticklabels()
    texts = [(text, _lacks(text)) for text in figure.findobj(Text) if not text.get_text().isascii()]
    families, nowhere = _covering(frozenset().union(*(lacks for _, lacks in texts)))
    for text, lacks in texts:
        if lacks:
            text.set_fontfamily([*text.get_fontfamily(), *families])
    _tell(nowhere)


def _lacks(text: Text) -> frozenset[str]:
    """Letters of a text that its own font does not have."""
    visible = {letter for letter in text.get_text() if letter.isprintable()}
    return frozenset(visible - _letters(findfont(FontProperties(family=text.get_fontfamily()))))


@functools.cache
def _covering(wanted: frozenset[str]) -> tuple[list[str], frozenset[str]]:
    """Few families of installed fonts that have these letters, and the letters that none has."""
    families = []
    while wanted:
        # Of fonts that have equally many the first by name, so that a figure is always the same.
        fonts = sorted((font.name, font.fname) for font in fontManager.ttflist)
        fonts = [font for font in fonts if not font[0].startswith(_BOXES)]
        name, file = max(fonts, key=lambda font: len(wanted & _letters(font[1])))
        if not wanted & _letters(file):
            break
        families.append(name)
        wanted -= _letters(file)
    return families, wanted


@functools.cache
def _letters(file: str) -> frozenset[str]:
    try:
        return frozenset(map(chr, FT2Font(file).get_charmap()))
    except (OSError, RuntimeError):  # matplotlib's list of fonts is older than the folder
        return frozenset()


def _tell(letters: Iterable[str]) -> None:
    news = sorted(set(letters) - _told)
    if not news:
        return
    _told.update(news)
    shown = ", ".join(f"{letter} (U+{ord(letter):04X})" for letter in news[:20])
    more = f" and {len(news) - 20} more" if len(news) > 20 else ""
    warnings.warn(
        f"no installed font has {shown}{more}: figures show a box for each; install a font that "
        "has them, such as one of the Noto family",
        stacklevel=4,  # whoever draws
    )
    # matplotlib would say the same of each letter, in each drawing.
    warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
