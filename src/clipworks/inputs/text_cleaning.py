"""What happens to a text before it is cut into tokens."""

from __future__ import annotations

import html
import re
import string

from clipworks.inputs.specs import Cleaning

# Mending and unescaping leave such a text as it is, and take a hundred times longer to find out: it
# is printable ASCII, tabs and newlines without an ampersand. Other control characters are not safe:
# ftfy turns or drops them.
_NOTHING_TO_MEND = re.compile(r"[\t\n -%'-~]*")

_WITHOUT_PUNCTUATION = str.maketrans("_", " ", string.punctuation.replace("_", ""))
_WITHOUT_ANY_PUNCTUATION = str.maketrans("", "", string.punctuation)

BLANK = "\u2581"
"""SentencePiece's own sign for a blank."""


def clean_text(text: str, cleaning: Cleaning, *, lowercase: bool) -> str:
    """Clean one text.

    Args:
        text: as it was given.
        cleaning: `whitespace` mends mojibake, unescapes HTML and leaves single spaces;
            `canonicalize` also drops ASCII punctuation, with `_` counted as a space; `siglip` is
            `clean_for_siglip`; `none` does neither.
        lowercase: whether capitals are lowered.
    """
    if cleaning == "none":
        return text.lower() if lowercase else text
    if cleaning == "siglip":
        return clean_for_siglip(text, lowercase=lowercase)
    text = mend_text(text)
    if cleaning == "canonicalize":
        text = text.translate(_WITHOUT_PUNCTUATION)
    text = " ".join(text.split())
    return text.lower() if lowercase else text


def clean_for_siglip(text: str, *, lowercase: bool, special: re.Pattern[str] | None = None) -> str:
    """Do what transformers' SiglipTokenizer does before SentencePiece.

    Nothing is mended, punctuation goes without leaving a space, and SentencePiece's sign for a
    blank comes first.

    Args:
        text: as it was given.
        lowercase: whether capitals are lowered.
        special: matches the names of special tokens, in its one group; they stay.
    """
    text = BLANK + text.replace(BLANK, " ")
    parts = [text] if special is None else special.split(text)
    parts[::2] = [_strip_punctuation(part, lowercase=lowercase) for part in parts[::2]]
    return "".join(parts)


def _strip_punctuation(text: str, *, lowercase: bool) -> str:
    text = (text.lower() if lowercase else text).translate(_WITHOUT_ANY_PUNCTUATION)
    return re.sub(r"\s+", " ", text).strip()


def mend_text(text: str) -> str:
    """Mend mojibake, then unescape HTML twice: captions of the web are often escaped twice."""
    if _NOTHING_TO_MEND.fullmatch(text):
        return text
    import ftfy  # a tenth of a second that pictures and plain texts need not wait for

    return html.unescape(html.unescape(ftfy.fix_text(text)))
