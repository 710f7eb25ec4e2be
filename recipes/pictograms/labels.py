"""Labels as words: slugs, squeezed names, and the cleaning of file names and titles. Pure."""

from __future__ import annotations

import re
import unicodedata

SKIN_TONES = ("1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff")
_TONE_SLUG = re.compile(r"-(?:light|medium-light|medium|medium-dark|dark)-skin-tone")
SHORT_WORDS = {"ox", "tv", "pc", "cd", "ok", "tea", "atm", "up", "no", "id", "ufo", "vs", "ny"}
_NOT_WORD = re.compile(r"[^a-z0-9]+")
_SYMBOL_WORDS = {"#": " hash ", "*": " asterisk ", "&": " and ", "+": " plus "}


def slug(text: str) -> str:
    """Return lower-case ASCII words joined by hyphens; apostrophes vanish."""
    for mark, word in _SYMBOL_WORDS.items():
        text = text.replace(mark, word)
    plain = unicodedata.normalize("NFKD", text.replace("\u2019", "").replace("'", ""))
    plain = plain.encode("ascii", "ignore").decode().lower()
    return _NOT_WORD.sub("-", plain).strip("-")


def squeeze(text: str) -> str:
    """Return the letters and digits of a label only, for sets that write words together."""
    return slug(text).replace("-", "")


def normal_code(hexcode: str) -> str:
    """Return an emoji's code in lower case, without presentation selectors or leading zeros."""
    parts = hexcode.lower().replace("_", "-").split("-")
    return "-".join(part.lstrip("0") or "0" for part in parts if part != "fe0f")


def has_skin_tone(key: str, code: str = "") -> bool:
    """Tell whether a picture is a skin-tone variant, by its name or its code."""
    return bool(_TONE_SLUG.search(key)) or any(tone in code.split("-") for tone in SKIN_TONES)


def region_code(region: str) -> str:
    """Return the flag emoji's code of an ISO region (`fr`) or subdivision (`gb-eng`).

    Raises:
        ValueError: the text is no two-letter region and no subdivision.
    """
    if re.fullmatch(r"[a-z]{2}", region):
        return "-".join(f"{0x1F1E6 + ord(letter) - ord('a'):x}" for letter in region)
    if re.fullmatch(r"[a-z]{2}-[a-z]{2,3}", region):
        tags = (f"{0xE0000 + ord(letter):x}" for letter in region.replace("-", ""))
        return "-".join(["1f3f4", *tags, "e007f"])
    raise ValueError(f"{region!r} is no ISO region (like 'fr') and no subdivision (like 'gb-eng')")


def plain_name(label: str) -> str:
    """Return an emoji's label as one would say it: `flag: France` is `flag of France`."""
    if label.startswith("flag: "):
        return f"flag of {label.removeprefix('flag: ')}"
    return label


def tidy_words(text: str) -> str:
    """Return words in lower case with single blanks, underscores as blanks, no outer marks."""
    return " ".join(text.replace("_", " ").lower().split()).strip(" .,;:'\"")


def is_visible_word(text: str) -> bool:
    """Tell whether a tidied keyword has at least three letters in a row (no codes)."""
    return bool(re.search(r"[a-z]{3}", text)) or text in SHORT_WORDS
