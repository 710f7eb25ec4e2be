import pytest

from clipworks.data.contents import Location, Unreadable
from clipworks.data.sources.source_options import SourceOptions
from clipworks.data.table_rows import ColumnChoice, choose_columns, place_of, sample_of_row
from clipworks.errors import SettingsError


def choose(names, **options):
    said = []
    choice = choose_columns(
        names, SourceOptions(**options), where="t.csv", base="/base", say=said.append
    )
    return choice, said


@pytest.mark.parametrize(
    ("names", "image", "caption"),
    [
        (["image_path", "caption"], "image_path", "caption"),
        (["id", "URL", "TEXT"], "URL", "TEXT"),
        (["url", "file", "text"], "file", "text"),
        (["key", "jpg", "url_count"], "jpg", None),
        (["bytes", "Caption"], "bytes", "Caption"),
        (["text", "n"], None, "text"),
    ],
)
def test_columns_of_usual_names_are_guessed_and_said(names, image, caption):
    choice, (line,) = choose(names)
    assert (choice.image, choice.caption) == (image, caption)
    for column in filter(None, (image, caption)):
        assert repr(column) in line
    assert choice.modality == ("both" if image and caption else "image" if image else "text")


def test_bytes_at_hand_go_before_addresses():
    choice = choose_columns(
        ["url", "jpg", "md5"],
        SourceOptions(),
        where="t",
        base="/",
        say=[].append,
        at_hand=["md5", "jpg"],
    )
    assert choice.image == "jpg"


def test_columns_that_are_named_are_taken_and_not_mentioned():
    choice, said = choose(["a", "b", "url"], image_column="a", caption_column="b")
    assert (choice.image, choice.caption, said) == ("a", "b", [])
    assert choice.options == {"image_column": "a", "caption_column": "b"}


def test_a_column_is_not_taken_twice():
    choice, _ = choose(["text", "image"], image_column="text")
    assert (choice.image, choice.caption) == ("text", None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_column": "x"}, r"no column 'x' \(--image-column\); there are 'a', 'b'"),
        ({"caption_column": "x"}, r"no column 'x' \(--caption-column\); there are 'a', 'b'"),
        ({}, r"name one with --image-column; there are 'a', 'b'"),
        ({"modality": "image"}, r"name one with --image-column; there are 'a', 'b'"),
        ({"image_column": "a", "modality": "both"}, r"hold captions: name one with"),
        ({"modality": "text"}, r"--image-column|--caption-column"),
    ],
)
def test_a_column_that_is_not_there_names_those_that_are(options, message):
    with pytest.raises(SettingsError, match=message):
        choose(["a", "b"], **options)


def test_a_long_list_of_columns_is_cut_short():
    with pytest.raises(SettingsError, match="and 80 more"):
        choose([f"c{n}" for n in range(100)])


@pytest.mark.parametrize(
    ("text", "base", "place"),
    [
        ("a/b.png", "/base", "/base/a/b.png"),
        ("../b.png", "/base/x", "/base/b.png"),
        ("/abs.png", "/base", "/abs.png"),
        ("https://x/a.png", "/base", "https://x/a.png"),
        ("file:///a%20b.png", "/base", "/a b.png"),
        ("file://localhost/a.png", "/base", "/a.png"),
        ("a.png", "s3://bucket/dir", "s3://bucket/dir/a.png"),
    ],
)
def test_relative_paths_begin_at_the_table(text, base, place):
    assert place_of(text, base) == Location(place)


def test_hugging_faces_pictures_are_bytes_or_a_path():
    choice = ColumnChoice("image", "caption", "both", "/base")
    row = {"image": {"bytes": b"x", "path": "a.png"}, "caption": "c", "n": 1}
    sample = sample_of_row(row, choice, name="cell")
    assert (sample.name, sample.image) == ("cell", b"x")
    assert sample.fields == {"n": 1, "image.path": "a.png"}
    row["image"] = {"bytes": None, "path": "a.png"}
    assert sample_of_row(row, choice, name="cell").image == Location("/base/a.png")
    for nothing in (None, "", {"bytes": None, "path": None}):
        assert sample_of_row({"image": nothing}, choice, name="cell").image is None
    assert isinstance(sample_of_row({"image": [1]}, choice, name="cell").image, Unreadable)
