"""WordNet's files read right, and only the meanings that fit a picture taken."""

from pathlib import Path

import pytest

from recipes.pictograms.base_forms import BaseForms
from recipes.pictograms.fetch import upstream_part
from recipes.pictograms.meanings import MeaningFinder, MeaningTable, load_meaning_table
from recipes.pictograms.wordnet import (
    LEXNAMES,
    Nouns,
    parse_sense,
    read_irregular_forms,
    word_forms,
)

LICENCE = "  1 This is the licence.\n"
DATA = {
    100: "03 n 01 animal 0 000 | a living being that moves",
    200: "05 n 02 bat 0 chiropteran 0 001 @ 00000100 n 0000 | a flying mammal (at night); of "
    'caves; "a bat"',
    300: "06 n 01 bat 1 001 @ 00000400 n 0000 | a club used for hitting a ball",
    400: "06 n 02 sports_equipment 0 gear 0 000 | what is used in a sport",
    500: "20 n 01 red_oak(a) 0 002 #m 00000100 n 0000 @ 00000400 n 0000 | a tree",
}
INDEX = """animal n 1 0 1 0 00000100
bat n 2 1 @ 2 1 00000300 00000200
building n 1 0 1 0 00000400
"""
VERBS = "".join(f"{verb} v 1 0 1 0 00000900\n" for verb in ("bat", "cry", "run", "bathe", "build"))


@pytest.fixture
def work(tmp_path) -> Path:
    folder = tmp_path / "raw/wordnet-base/usr/share/wordnet"
    folder.mkdir(parents=True)
    lines = [f"{offset:08} {line}  \n" for offset, line in DATA.items()]
    (folder / "data.noun").write_text(LICENCE + "".join(lines), encoding="utf-8")
    (folder / "index.noun").write_text(LICENCE + INDEX, encoding="utf-8")
    (folder / "index.verb").write_text(LICENCE + VERBS, encoding="utf-8")
    (folder / "noun.exc").write_text("feet foot\n", encoding="utf-8")
    (folder / "verb.exc").write_text("flew fly\n", encoding="utf-8")
    return tmp_path


TABLE = MeaningTable(
    files={"animal": ["animal"], "sport": ["artifact"]},
    by_head=["animal"],
    plain_files=["plant"],
    too_wide=frozenset(),
    wrong=frozenset({"wooden bat"}),
    meant={},
)


def concept(name: str, group: str, keywords: tuple[str, ...] = (), **others: bool) -> dict:
    words = {"name": name, "group": group, "subgroup": "", "keywords": list(keywords)}
    return {**words, "is_emoji": True, "is_flag": False, **others}


def test_a_line_of_a_data_file():
    sense = parse_sense(f"00000200 {DATA[200]}")
    assert (sense.offset, sense.lexname) == (200, LEXNAMES["animal"])
    assert sense.words == ("bat", "chiropteran")
    assert sense.parents == (100,)
    assert sense.gloss == "a flying mammal"
    assert sense.definition == "a flying mammal; of caves"


def test_only_pointers_to_kinds_count():
    sense = parse_sense(f"00000500 {DATA[500]}")
    assert sense.words == ("red oak",)
    assert sense.parents == (400,)


def test_the_kind_of_thing_decides_between_senses(work):
    finder = MeaningFinder(Nouns(work), TABLE)
    animal = finder.describe(concept("bat", "animal"))
    assert animal["glosses"] == ["a flying mammal"]
    assert animal["kinds"] == ["animal"]
    assert animal["definitions"] == ["a flying mammal; of caves", "a living being that moves"]
    sport = finder.describe(concept("bat", "sport"))
    assert sport["glosses"] == ["a club used for hitting a ball"]
    assert sport["kinds"] == ["sports equipment", "gear"]


def test_the_last_noun_tells_what_a_longer_name_means(work):
    finder = MeaningFinder(Nouns(work), TABLE)
    assert finder.find(concept("brown bat with wings", "animal")).offset == 200
    assert finder.find(concept("brown bat with wings", "sport")) is None


@pytest.mark.parametrize(
    "doubtful",
    [
        concept("wooden bat", "animal"),
        concept("bat", "face"),
        concept("bat", "animal", is_flag=True),
        concept("bat", "", is_emoji=False),
        concept("wombat", "animal"),
    ],
    ids=["in the table", "no such kind", "a flag", "no plant", "unknown"],
)
def test_a_doubtful_meaning_is_none(work, doubtful):
    found = MeaningFinder(Nouns(work), TABLE).describe(doubtful)
    assert found == {"glosses": [], "synonyms": [], "kinds": [], "definitions": []}


def test_the_shipped_table_names_files_that_there_are():
    table = load_meaning_table()
    named = {file for files in table.files.values() for file in files} | {*table.plain_files}
    assert named <= LEXNAMES.keys()
    assert set(table.by_head) <= table.files.keys()
    assert not table.wrong & table.meant.keys()


def test_forms_are_words_of_the_dictionary(work):
    dictionary = frozenset({"foot", "feet", "fly", "flies", "flew", "flying", "cat", "cats"})
    words = ["feet", "fly", "cat", "unknown"]
    assert word_forms(words, dictionary, read_irregular_forms(work)) == {
        "feet": ["foot"],
        "fly": ["flew", "flies", "flying"],
        "cat": ["cats"],
    }


@pytest.mark.parametrize(
    ("word", "base"),
    [
        ("feet", "foot"),
        ("flew", "fly"),
        ("bats", "bat"),
        ("bat", "bat"),
        ("batting", "bat"),
        ("bathing", "bathe"),
        ("cried", "cry"),
        ("animals", "animal"),
        ("running", "run"),
        ("buildings", "build"),
        ("red", "red"),
        ("xylophones", "xylophones"),
    ],
)
def test_all_forms_of_a_word_have_one_base(work, word, base):
    assert BaseForms(work).base(word) == base


def test_the_licence_of_the_packaging_is_not_that_of_the_work():
    text = "Format: 1.0\n\nFiles: *\nLicense: A\n\nFiles: debian/*\nLicense: GPL-2+\n"
    assert "GPL" not in upstream_part(text)
    assert "License: A" in upstream_part(text)
    assert upstream_part("License: GPL-2\n") == "License: GPL-2\n"
