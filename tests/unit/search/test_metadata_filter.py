import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipworks.errors import SettingsError
from clipworks.search.metadata import MetadataTable
from clipworks.search.metadata_filter import allowed_rows
from clipworks.search.row_store import write_row_store

ROWS = [
    {"image_path": f"{i}.png", "caption": c, "Width": w, "a.b": i % 3, "two words": bool(i % 2)}
    for i, (c, w) in enumerate(
        [("a dog", 100), ("it's", 600), (None, 700), ("a cat", None), ("a dog", 900)] * 2
    )
]


@pytest.fixture(params=["parquet", "store"])
def metadata(request, tmp_path):
    """Ten rows in three files, from either place."""
    folder = tmp_path / "metadata"
    folder.mkdir()
    files = []
    for number, rows in enumerate((ROWS[:4], ROWS[4:5], ROWS[5:])):
        files.append(folder / f"metadata_{number}.parquet")
        pq.write_table(pa.Table.from_pylist(rows), files[-1], row_group_size=2)
    table = MetadataTable(files)
    if request.param == "store":
        write_row_store(table)
        table = MetadataTable(files)
    return table


def rows_where(test):
    return [i for i, row in enumerate(ROWS) if test(row)]


@pytest.mark.parametrize(
    ("condition", "test"),
    [
        ("width > 500", lambda r: (r["Width"] or 0) > 500),
        ("WIDTH > 500 and caption = 'a dog'", lambda r: r["Width"] == 900),
        ("caption = 'it''s'", lambda r: r["caption"] == "it's"),
        ("caption is null or width is null", lambda r: None in (r["caption"], r["Width"])),
        ('"a.b" = 1', lambda r: r["a.b"] == 1),
        ('"two words"', lambda r: r["two words"]),
        ("not width > 500", lambda r: r["Width"] == 100),
        ("caption like '%dog' -- a comment", lambda r: r["caption"] == "a dog"),
        ("length(caption) + 1 in (6, 7)", lambda r: len(r["caption"] or "") == 5),
        ("regexp_matches(image_path, '^[0-4]')", lambda r: r["image_path"][0] in "01234"),
        ("width between 600 and 700", lambda r: r["Width"] in (600, 700)),
        ("case when width > 500 then true end", lambda r: (r["Width"] or 0) > 500),
        ("list_contains(list_transform([1, 2], lambda x: x * 2), \"a.b\")",
         lambda r: r["a.b"] in (2, 4)),
        ("true", lambda r: True),
        ("1 = 2", lambda r: False),
    ],
)  # fmt: skip
def test_a_condition_allows_what_it_says(metadata, condition, test):
    allowed = allowed_rows(metadata, condition)
    assert allowed.dtype == np.bool_
    assert np.flatnonzero(allowed).tolist() == rows_where(test)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("", "the condition is empty"),
        ("hight > 3", "no column 'hight'"),
        ("a.b = 1", 'write "a.b" in double quotes'),
        ("width >", "syntax error"),
        ("width > 5)", "syntax error"),
        ("1 = 1) union select 1 from x where (1 = 1", "expected one condition"),
        ("1 = 1) or (select true", "a query inside the condition is not allowed"),
        ("1 = 1) group by (1", "expected one condition"),
        ("1 = 1) order by (1", "expected one condition"),
        ("1 = 1) limit (1", "expected one condition"),
        ("true; drop table x", "syntax error"),
        ("true); select (1", "expected one condition"),
        ("width in (select 1)", "a query inside the condition is not allowed"),
        ("exists(from read_text('/etc/passwd'))", "a query inside"),
        ("read_text('/etc/passwd') is not null", "does not exist|Function"),
        ("row_number() over () = 1", "a window function is not allowed"),
        ("width = ?", "placeholder"),
        ("len(range(width)) > 1", r"range\(\) is not allowed"),
        ("length(REPEAT('x', width)) > 1", r"repeat\(\) is not allowed"),
        ("length(main.lpad('x', width, 'y')) > 1", r"lpad\(\) is not allowed"),
        ("count(*) > 1", "aggregate"),
        ("caption + 1 > 3", "a dog|Conver|cast"),
        ("caption", "Conver|cast|a dog"),
    ],
)
def test_what_is_no_condition_is_refused_in_one_line(metadata, condition, message):
    with pytest.raises(SettingsError, match=message) as caught:
        allowed_rows(metadata, condition)
    assert "\n" not in str(caught.value)
    assert "image_path, caption, Width, a.b, two words" in str(caught.value)


def test_pythons_variables_are_out_of_reach(metadata):
    secret = pa.table({"width": [1]})
    assert secret.num_rows == 1
    with pytest.raises(SettingsError):
        allowed_rows(metadata, "secret.width = 1")


def test_files_that_differ_in_columns_and_types_are_read_together(tmp_path):
    tables = [
        pa.table({"n": pa.array([1, 2], pa.int32()), "word": ["a", "b"]}),
        pa.table({"n": pa.array([2.5], pa.float64())}),
        pa.table({"word": pa.nulls(1), "n": pa.nulls(1)}),
    ]
    files = []
    for number, table in enumerate(tables):
        files.append(tmp_path / f"{number}.parquet")
        pq.write_table(table, files[-1])
    metadata = MetadataTable(files)
    assert allowed_rows(metadata, "n >= 2").tolist() == [False, True, True, False]
    assert allowed_rows(metadata, "word is null").tolist() == [False, False, True, True]


def test_an_empty_folder_allows_nothing():
    with pytest.raises(SettingsError, match="no column"):
        allowed_rows(MetadataTable([]), "width > 1")
