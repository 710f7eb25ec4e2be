import csv
import io
import os

import pytest

from clipworks.data.contents import Location, Unreadable
from clipworks.data.record_formats import (
    CsvFormat,
    JsonFormat,
    LineFormat,
    PathFormat,
    csv_records,
    parse_csv,
)
from clipworks.data.table_rows import ColumnChoice

CHOICE = ColumnChoice("path", "text", "both", "/base")
CSV = CsvFormat(("path", "text", "n"), ",", CHOICE)
JSON = JsonFormat(CHOICE)

TABLES = [
    b"a,b\n1,2\n",
    b"a,b\r\n1,2\r\n3,4",
    b'a,b\n"two\nlines",2\n"quo""te\n",x\n',
    b'\n\na,"b"\n\n',
    b'a,"never closed\n1,2\n',
    b'5" disk,x\n1,2\n',
    "é,日本\n\udce9,x\n".encode("utf-8", "surrogateescape"),
    b"",
]


@pytest.mark.parametrize("raw", TABLES)
def test_csv_rows_are_those_of_the_csv_module_and_together_the_file(raw):
    records = list(csv_records(io.BytesIO(raw), ","))
    assert b"".join(records) == raw
    text = raw.decode("utf-8", "surrogateescape")
    expected = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    assert [row for row in (parse_csv(record, ",") for record in records) if row] == expected


def test_a_csv_row_is_a_sample_whose_empty_fields_are_nothing():
    sample = CSV.sample(b'x/a.png,"a, cat",\r\n', name="n")
    assert sample.image == Location("/base/x/a.png")
    assert (sample.name, sample.caption) == ("/base/x/a.png", "a, cat")
    assert sample.fields == {"n": None}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"a.png,x\n", "has 2 fields, the header 3"),
        (b"a.png,x,1,2\n", "has 4 fields, the header 3"),
        (b'a.png,"' + b"x" * 200_000 + b'",1\n', "is no row: field larger than field limit"),
    ],
)
def test_a_row_that_makes_no_sense_says_so(record, reason):
    sample = CSV.sample(record, name="t.csv#row=1")
    assert sample.name == "t.csv#row=1"
    assert isinstance(sample.image, Unreadable)
    assert reason in sample.image.reason
    assert sample.caption == sample.image


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[1]", "expected a JSON object, found list"),
        (b"{" + b'"a":{' * 50_000, "is not JSON"),
        (b'{"path": 5}', "expected a path, an address or bytes, found int"),
        (b'{"path": "a\\u0000b"}', "a null byte stands in it"),
    ],
)
def test_a_line_that_makes_no_sense_says_so(record, reason):
    sample = JSON.sample(record, name="t.jsonl#row=1")
    assert isinstance(sample.image, Unreadable)
    assert reason in sample.image.reason


def test_an_object_is_a_sample_with_flat_fields():
    sample = JSON.sample(b'\xef\xbb\xbf{"path":"a.png","text":"t","s":{"w":1},"l":[1]}', name="n")
    assert (sample.image, sample.caption) == (Location("/base/a.png"), "t")
    assert sample.fields == {"s.w": 1, "l": [1]}
    assert JSON.sample(b'{"text":"t"}', name="n").image is None


@pytest.mark.parametrize("name", [b"a b.png", b"caf\xe9.png", b" .png", b"\"q'.png", b"-x.png"])
def test_paths_are_taken_as_they_are(name):
    for record, form in ((name + b"\n", PathFormat("/b")), (name + b"\r\n", PathFormat("/b"))):
        assert form.sample(record, name="n").image == Location("/b/" + os.fsdecode(name))


def test_paths_that_end_in_nul_may_hold_newlines():
    form = PathFormat("/b", nul_separated=True)
    records = list(form.records(io.BytesIO(b"a\nb.png\0\0c.png")))
    assert b"".join(records) == b"a\nb.png\0\0c.png"
    found = [form.sample(r, name="n").image for r in records if not form.is_blank(r)]
    assert found == [Location("/b/a\nb.png"), Location("/b/c.png")]


def test_a_line_is_a_text():
    sample = LineFormat().sample(b"\xef\xbb\xbfa caf\xe9\r\n", name="t.txt#row=1")
    assert (sample.name, sample.image) == ("t.txt#row=1", None)
    assert str(sample.caption).strip() == "a caf\ufffd"
    assert LineFormat().is_blank(b" \t\r\n")
