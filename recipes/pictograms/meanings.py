"""Which sense of WordNet a concept has, chosen carefully: better none than a wrong one."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from recipes.pictograms.sources import TABLES
from recipes.pictograms.wordnet import LEXNAMES, Nouns, Sense

MAX_GLOSS_WORDS = 14
MAX_DEFINED_KINDS = 4
_AFTER_HEAD = re.compile(
    r" (?:with|of|in|on|behind|over|from|without|and|for|at|showing|tilted)\b.*| face$"
)
_WORD = re.compile(r"[a-z]{3,}")
_RANK_COST, _FIRST_SENSE, _FIRST_FILE = 0.7, 0.5, 1.0
"""In shared words: each more frequent sense, being the most frequent, the likeliest file."""


@dataclass(frozen=True)
class MeaningTable:
    """What `tables/meanings.json` says.

    Attributes:
        files: of the lexicographer, by the concept's group; a concept of another group has no
            sense.
        by_head: groups in which a name's last noun tells its meaning: `red apple`.
        plain_files: for concepts that are no emoji.
        too_wide: kinds that say nothing.
        wrong: names whose sense is not what the picture shows.
        meant: a part of the right sense's definition, where the most likely one is wrong.
    """

    files: dict[str, list[str]]
    by_head: list[str]
    plain_files: list[str]
    too_wide: frozenset[str]
    wrong: frozenset[str]
    meant: dict[str, str]


def load_meaning_table(path: Path = TABLES / "meanings.json") -> MeaningTable:
    """Read the table."""
    table = json.loads(path.read_text(encoding="utf-8"))
    table |= {name: frozenset(table[name]) for name in ("too_wide", "wrong")}
    return MeaningTable(**table)


@final
class MeaningFinder:
    """Adds senses to concepts.

    Args:
        nouns: WordNet's.
        table: which senses may be meant.
    """

    def __init__(self, nouns: Nouns, table: MeaningTable) -> None:
        self._nouns = nouns
        self._table = table

    def find(self, concept: dict[str, Any]) -> Sense | None:
        """Return the sense of a concept of `words.py`, or None where it is doubtful."""
        name = concept["name"].lower().replace("\u2019", "'")
        if concept["is_flag"] or name in self._table.wrong:
            return None
        files = self._table.files.get(concept["group"], [])
        if not concept["is_emoji"]:
            files = self._table.plain_files
        allowed = [LEXNAMES[file] for file in files]
        sense = self._best(name, concept, allowed)
        if sense is None and concept["group"] in self._table.by_head:
            head = _AFTER_HEAD.sub("", name).split()[-1]
            sense = None if head in self._table.wrong else self._best(head, concept, allowed)
        return sense

    def describe(self, concept: dict[str, Any]) -> dict[str, list[str]]:
        """Return what is known of a concept's sense: empty lists where there is none.

        Returns:
            `glosses`: the beginning of its definition; `synonyms`; `kinds`; `definitions`: its own
            and those of the nearest kinds, all whole.
        """
        sense = self.find(concept)
        if sense is None:
            return {"glosses": [], "synonyms": [], "kinds": [], "definitions": []}
        ancestors = self._nouns.ancestors(sense, self._table.too_wide)
        defined = [sense, *itertools.islice(ancestors, MAX_DEFINED_KINDS)]
        return {
            "glosses": [" ".join(sense.gloss.split()[:MAX_GLOSS_WORDS])],
            "synonyms": list(sense.words),
            "kinds": self._nouns.kinds(sense, self._table.too_wide),
            "definitions": [one.definition for one in defined],
        }

    def _best(self, noun: str, concept: dict[str, Any], allowed: list[int]) -> Sense | None:
        senses = self._nouns.senses(noun)
        if noun in self._table.meant:
            fragment = self._table.meant[noun]
            return next((sense for sense in senses if fragment in sense.gloss), None)
        known = _words_of([concept["name"], *concept["keywords"], concept["subgroup"]])
        best, highest = None, 0.0
        for rank, sense in enumerate(senses):
            if sense.lexname not in allowed:
                continue
            kinds = self._nouns.kinds(sense, frozenset())
            score = len(known & _words_of([sense.gloss, *sense.words[1:], *kinds]))
            score += _FIRST_SENSE if rank == 0 else -_RANK_COST * rank
            score += _FIRST_FILE * (sense.lexname == allowed[0])
            if score > highest:
                best, highest = sense, score
        return best


def _words_of(texts: list[str]) -> set[str]:
    return {word.removesuffix("s") for text in texts for word in _WORD.findall(text.lower())}
