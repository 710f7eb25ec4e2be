import pytest

from recipes.pictograms.clipart import folder_hint, is_public_domain
from recipes.pictograms.drawings import Drawing, largest_sizes
from recipes.pictograms.emoji import Emoji, NameIndex, family_of, variant_kind
from recipes.pictograms.labels import (
    has_skin_tone,
    is_visible_word,
    normal_code,
    plain_name,
    region_code,
    slug,
    squeeze,
    tidy_words,
)
from recipes.pictograms.mapping import Mapper
from recipes.pictograms.sources import TABLES, load_sources
from recipes.pictograms.titles import clipart_title, icon_title, known_words, load_title_table

TITLES = load_title_table(TABLES / "titles.json")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Côte d\u2019Ivoire", "cote-divoire"),
        ("Antigua & Barbuda", "antigua-and-barbuda"),
        ("keycap: #", "keycap-hash"),
        ("man’s shoe", "mans-shoe"),  # noqa: RUF001 - as Unicode spells it
    ],
)
def test_slug(text, expected):
    assert slug(text) == expected


def test_squeeze_forgets_hyphens():
    assert squeeze("alarm-clock") == squeeze("alarm clock") == "alarmclock"


@pytest.mark.parametrize(
    ("code", "expected"),
    [("1F468-200D-2695-FE0F", "1f468-200d-2695"), ("0031-FE0F-20E3", "31-20e3"), ("00a9", "a9")],
)
def test_normal_code(code, expected):
    assert normal_code(code) == expected


def test_skin_tones_are_known_by_name_and_by_code():
    assert has_skin_tone("waving-hand-medium-dark-skin-tone")
    assert has_skin_tone("waving-hand", "1f44b-1f3fd")
    assert not has_skin_tone("vertical-traffic-light", "1f6a6")


def test_region_codes():
    assert region_code("fr") == "1f1eb-1f1f7"
    assert region_code("gb-eng") == "1f3f4-e0067-e0062-e0065-e006e-e0067-e007f"
    with pytest.raises(ValueError, match="olympics"):
        region_code("olympics")


@pytest.mark.parametrize(
    ("code", "kind", "family"),
    [
        ("1f3c3", "", "1f3c3"),
        ("1f3c3-200d-2642", "gender", "1f3c3"),
        ("1f3c3-200d-2640-200d-27a1", "direction", "1f3c3"),
        ("1f469-200d-1f680", "gender", "1f9d1-200d-1f680"),
        ("1f9d1-200d-1f680", "", "1f9d1-200d-1f680"),
        ("1f468-200d-1f9b0", "hair", "hair"),
        ("1f468-200d-1f468-200d-1f466", "gender", "1f46a"),
        ("1f468-200d-2764-200d-1f468", "gender", "1f491"),
        ("1f3f3-200d-1f308", "", "1f3f3-200d-1f308"),
    ],
)
def test_held_out_families(code, kind, family):
    assert (variant_kind(code), family_of(code)) == (kind, family)


def test_words_are_tidied():
    assert tidy_words(" Grinning_Face. ") == "grinning face"
    assert is_visible_word("cat")
    assert not is_visible_word(":d")
    assert plain_name("flag: France") == "flag of France"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("camping-tent-flat", "camping tent"),
        ("fruit-cherry", "cherry"),
        ("accounting-bill-stack-1", "bill stack"),
        ("airconditioner-duo", "air conditioner"),
        ("board-game-dice", "dice"),
        ("pinterest-logo", ""),
        ("align-text-center", ""),
        ("about", ""),
    ],
)
def test_icon_titles(key, expected):
    assert icon_title(key, TITLES) == expected


@pytest.mark.parametrize(
    ("title", "stem", "expected"),
    [
        ("Blueberry Muffin (B and W)", "muffin3_bw", "blueberry muffin"),
        ("Clipart by Nicu Buculei - nosmoke", "house", "house"),
        ("mouth - body part", "mouth_nicu_b", "mouth"),
        ("guitar1", "guitar_jarno", "guitar"),
    ],
)
def test_clipart_titles(title, stem, expected):
    assert clipart_title(title, stem) == expected


def test_titles_in_other_languages_are_dropped():
    dictionary = frozenset({"old", "book", "in"})
    assert known_words("old book", dictionary) == "old book"
    assert known_words("ragnetto incazzato", dictionary) == ""
    assert known_words("in", dictionary) == ""


def test_folders_inherit_their_hint():
    folders = {"animals": "animal", "people/clothing/pantyhose": "-", "people": "person"}
    assert folder_hint("animals/mammals/dogs", folders) == "animal"
    assert folder_hint("people/clothing/pantyhose", folders) is None
    assert folder_hint("logos", folders) is None


def test_only_the_public_domain_passes():
    licence = '<cc:license rdf:resource="{}"/>'
    free = licence.format("http://web.resource.org/cc/PublicDomain")
    gpl = licence.format("http://creativecommons.org/licenses/GPL/2.0/")
    assert is_public_domain(free)
    assert not is_public_domain(gpl)
    assert not is_public_domain(free + gpl)
    assert not is_public_domain("<svg/>")


def test_of_several_sizes_the_largest_stays():
    keys = ("bell-16", "bell-48", "bell-20", "key")
    assert [row.key for row in largest_sizes(Drawing("set", key) for key in keys)] == [
        "bell-48",
        "key",
    ]


def make_emoji(code, label, *, is_flag=False):
    return Emoji(code, label, (), "objects", "time", is_flag, "", code)


@pytest.fixture
def mapper():
    emoji = {
        row.code: row
        for row in (
            make_emoji("23f0", "alarm clock"),
            make_emoji("1f983", "turkey"),
            make_emoji("1f1eb-1f1f7", "flag: France", is_flag=True),
        )
    }
    index = NameIndex(emoji)
    for row in emoji.values():
        index.add(row.label, row.code)
    index.add("flag France", "1f1eb-1f1f7")
    return Mapper(
        emoji=emoji,
        index=index,
        codes={"fluent-emoji-flat": {"turkey": "1f983"}, "fxemoji": {"ring": "1f514"}},
        corrections={"fxemoji/clockface": "23f0", "fxemoji/blob": ""},
        countries={"gaul": "1f1eb-1f1f7"},
        joins={"wake-up bell": "23f0", "alarm clock old": ""},
    )


@pytest.mark.parametrize(
    ("source", "key", "kind", "expected"),
    [
        ("fxemoji", "alarmclock", "emoji", "23f0"),
        ("fxemoji", "clockface", "emoji", "23f0"),
        ("fxemoji", "blob", "emoji", None),
        ("fxemoji", "ring", "emoji", None),
        ("circle-flags", "fr", "flags", "1f1eb-1f1f7"),
        ("circle-flags", "esperanto", "flags", None),
        ("fluent-emoji-3d", "1f983", "webp", "1f983"),
        ("fluent-emoji-3d", "1f1eb-1f1f7", "webp", None),
    ],
)
def test_emoji_sets_find_their_concepts(mapper, source, key, kind, expected):
    assert mapper.concept(Drawing(source, key, names=(key,)), kind) == expected


@pytest.mark.parametrize(
    ("title", "hint", "expected"),
    [
        ("alarm clock", "", "23f0"),
        ("wake-up bell", "", "23f0"),
        ("alarm clock old", "", "x:alarm-clock-old"),
        ("france", "", "1f1eb-1f1f7"),
        ("turkey", "flag", None),
        ("gaul flag", "flag", "1f1eb-1f1f7"),
        ("grain elevator", "", "x:grain-elevator"),
        ("", "", None),
    ],
)
def test_titles_join_emoji_or_stand_alone(mapper, title, hint, expected):
    drawing = Drawing("clips", "key", title=title, hint=hint)
    assert mapper.concept(drawing, "openclipart") == expected


def test_nothing_share_alike_is_trained_on():
    trained = [source for source in load_sources() if source.role == "train"]
    allowed = {"Apache-2.0", "MIT", "CC-BY-4.0", "LicenseRef-PublicDomain"}
    assert {source.drawing_licence for source in trained} <= allowed
    assert not {"twemoji", "openmoji", "emojione-v1"} & {source.name for source in trained}
