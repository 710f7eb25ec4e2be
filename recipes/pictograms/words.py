"""The words of every concept: one canonical name, keywords, titles and what kind of thing it is."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from recipes.pictograms.base_forms import BaseForms
from recipes.pictograms.clipart import read_dictionary
from recipes.pictograms.colours import HUES, concept_colours
from recipes.pictograms.emoji import Emoji, load_emoji, load_shortcodes, read_keywords
from recipes.pictograms.labels import is_visible_word, plain_name, tidy_words
from recipes.pictograms.meanings import MeaningFinder, load_meaning_table
from recipes.pictograms.sources import DEFAULT_DATA, DEFAULT_WORK, TABLES
from recipes.pictograms.splits import read_split
from recipes.pictograms.wording import content_words
from recipes.pictograms.wordnet import Nouns, read_irregular_forms, word_forms

COLUMNS = ("keywords", "titles", "kinds", "definitions", "colours")
"""Those of a concept that hold several texts, with whole definitions."""

COLOUR_WORDS = {word for _, word in HUES} | {"black", "white", "grey", "gray", "brown"}


def distinct(words: Iterable[str], *, without: str = "") -> list[str]:
    """Tidy words, keep those that say something visible, each once and in order."""
    tidied = (tidy_words(word) for word in words)
    kept = dict.fromkeys(word for word in tidied if is_visible_word(word))
    kept.pop(without.lower(), None)
    return list(kept)


def emoji_concepts(work: Path) -> dict[str, dict[str, Any]]:
    """Return the words of all emoji, by code."""
    keywords, shortcodes = read_keywords(work), load_shortcodes(work)
    kinds = json.loads((TABLES / "hypernyms.json").read_text(encoding="utf-8"))
    concepts = {}
    for code, entry in load_emoji(work).items():
        own = [] if entry.is_flag else [*entry.tags, *keywords[code], *shortcodes.get(code, ())]
        group, subgroup = kinds[entry.subgroup]
        name = plain_name(entry.label)
        concepts[code] = {
            "name": name,
            "keywords": distinct(own, without=name) if own else flag_words(entry),
            "titles": [],
            "group": group,
            "subgroup": subgroup,
            "is_emoji": True,
            "is_flag": entry.is_flag,
            "held_out": bool(entry.variant),
            "held_out_kind": entry.variant,
            "family": entry.family,
        }
    return concepts


def flag_words(entry: Emoji) -> list[str]:
    """Return the keywords of a flag: its country in the two usual orders."""
    country = entry.label.removeprefix("flag: ")
    return [f"{country} flag", country]


def add_titles(concepts: dict[str, dict[str, Any]], data: Path) -> None:
    """Add the titles of drawings, and concepts that are no emoji with their drawings' keywords."""
    titles: dict[str, list[str]] = defaultdict(list)
    keywords: dict[str, list[str]] = defaultdict(list)
    for table in sorted(data.glob("*/pictures.parquet")):
        for row in pq.read_table(table).to_pylist():
            titles[row["concept"]] += [row["title"]] if row["title"] else []
            keywords[row["concept"]] += row["keywords"]
    for concept, found in titles.items():
        if concept not in concepts and found:
            concepts[concept] = new_concept(found, keywords[concept])
        if found:
            entry = concepts[concept]
            entry["titles"] = distinct(found, without=entry["name"])


def new_concept(titles: list[str], keywords: list[str]) -> dict[str, Any]:
    """Return a concept that is no emoji, called by its most frequent title."""
    name = max(titles, key=titles.count)
    return {
        "name": name,
        "keywords": distinct(keywords, without=name),
        "titles": [],
        "group": "",
        "subgroup": "",
        "is_emoji": False,
        "is_flag": False,
        "held_out": False,
        "held_out_kind": "",
        "family": "",
    }


def add_meanings(concepts: dict[str, dict[str, Any]], work: Path) -> None:
    """Add what WordNet says of the concepts that may be trained on."""
    finder = MeaningFinder(Nouns(work), load_meaning_table())
    for entry in concepts.values():
        found = finder.describe(entry)
        entry["keywords"] = distinct(
            [*entry["keywords"], *found["synonyms"]], without=entry["name"]
        )
        entry["glosses"] = found["glosses"]
        entry["definitions"] = found["definitions"]
        entry["kinds"] = distinct(found["kinds"])


def add_colours(concepts: dict[str, dict[str, Any]], data: Path) -> None:
    """Add the colour that a concept has in most styles, unless its name says one."""
    colours = concept_colours(read_split(data, "train"))
    for concept, entry in concepts.items():
        named = COLOUR_WORDS & set(entry["name"].lower().split())
        word = None if named or entry["is_flag"] else colours.get(concept)
        entry["colours"] = [word] if word else []


def forms_table(concepts: dict[str, dict[str, Any]], work: Path) -> dict[str, list[str]]:
    """Return the other forms of all words that may be said."""
    columns = ("keywords", "titles", "glosses", "kinds")
    said = (text for entry in concepts.values() for column in columns for text in entry[column])
    words = (word for text in said for word in text.split())
    return word_forms(words, read_dictionary(work), read_irregular_forms(work))


def bases_table(concepts: dict[str, dict[str, Any]], work: Path) -> dict[str, str]:
    """Return the base of every word that may be said, where it is another."""
    forms, bases = BaseForms(work), {}
    for entry in concepts.values():
        texts = [entry["name"], entry["group"], entry["subgroup"]]
        texts += [text for column in COLUMNS for text in entry[column]]
        bases |= {word: forms.base(word) for text in texts for word in content_words(text)}
    return {word: base for word, base in sorted(bases.items()) if base != word}


def names_table(concepts: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the canonical names: every emoji concept once."""
    columns = ("name", "is_flag", "held_out", "family")
    return [
        {"concept": code, **{column: entry[column] for column in columns}}
        for code, entry in concepts.items()
        if entry["is_emoji"]
    ]


def write_words(work: Path, data: Path) -> None:
    """Write the words of the concepts of rendered data."""
    concepts = emoji_concepts(work)
    add_titles(concepts, data)
    add_meanings(concepts, work)
    add_colours(concepts, data)
    names, forms = names_table(concepts), forms_table(concepts, work)
    tables = {"concepts": concepts, "names": names, "forms": forms}
    tables["bases"] = bases_table(concepts, work)
    for name, table in tables.items():
        text = json.dumps(table, ensure_ascii=False, indent=0)
        (data / f"{name}.json").write_text(text, encoding="utf-8")
    held_out = sum(row["held_out"] for row in names)
    print(f"{len(concepts)} concepts, {len(names)} emoji names, {held_out} of them held out")


def main() -> None:
    """Write `concepts.json`, `names.json`, `forms.json` and `bases.json` beside the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=DEFAULT_WORK, help="what fetch.py brought")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="what render.py wrote")
    args = parser.parse_args()
    write_words(args.work, args.data)


if __name__ == "__main__":
    main()
