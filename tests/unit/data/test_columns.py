import pyarrow as pa
import pytest

from clipworks.data.columns import (
    MetadataRow,
    find_arrow_columns,
    find_columns,
    find_written_columns,
    merge_columns,
    metadata_table,
)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "int64"),
        ([1, None], "int64"),
        ([1, 0.5], "double"),
        ([0.5, 1], "double"),
        ([True, False], "bool"),
        ([True, 1], "string"),
        (["a", "b"], "string"),
        (["a", 1], "string"),
        ([2**63], "string"),
        ([-(2**63), 2**63 - 1], "int64"),
        ([[1], None], "string"),
        ([None, None], "string"),
    ],
)
def test_a_column_has_the_narrowest_type_for_all_values(values, kind):
    assert find_columns([{}, *({"x": value} for value in values)]) == {"x": kind}


def test_columns_stand_in_the_order_met_without_those_we_have():
    fields = [{"z": 1, "caption": "c"}, {"image_path": "p", "a.b": 1}]
    assert list(find_columns(fields)) == ["z", "a.b"]


def test_the_table_has_one_schema_whatever_the_rows():
    columns = {"i": "int64", "d": "double", "b": "bool", "s": "string"}
    full = MetadataRow("p", "c", {"i": 1, "d": 2, "b": True, "s": {"any": ["thing", "é"]}})
    table = metadata_table([full, MetadataRow("q", None, {})], columns)
    assert table.to_pylist() == [
        {"image_path": "p", "caption": "c", "i": 1, "d": 2.0, "b": True,
         "s": '{"any": ["thing", "é"]}'},
        {"image_path": "q", "caption": None, "i": None, "d": None, "b": None, "s": None},
    ]  # fmt: skip
    assert metadata_table([], columns).schema == table.schema
    assert table.schema.field("image_path").type == pa.string()


def test_a_value_that_fits_no_longer_becomes_null():
    row = MetadataRow("p", None, {"i": "text", "b": 1, "d": "x", "new": 1})
    table = metadata_table([row], {"i": "int64", "b": "bool", "d": "double"})
    assert table.to_pylist() == [
        {"image_path": "p", "caption": None, "i": None, "b": None, "d": None}
    ]


def test_names_and_texts_that_are_no_utf8_can_be_stored(tmp_path):
    row = MetadataRow("a\udce9.png", None, {"s": "\ud800"})
    (found,) = metadata_table([row], {"s": "string"}).to_pylist()
    assert found == {"image_path": r"a\udce9.png", "caption": None, "s": r"\ud800"}


def test_numbers_that_are_written_are_numbers_only_if_they_read_back_the_same():
    rows = [
        {
            "i": "1",
            "f": "1.5",
            "zero": "007",
            "id": "9" * 20,
            "x": "a",
            "none": "",
            "date": "1.2.3",
        },
        {"i": "-2", "f": "3", "zero": "1", "id": "1", "x": "1", "none": None, "date": "1.2"},
    ]
    assert find_written_columns(rows) == {
        "i": "int64", "f": "double", "zero": "string", "id": "string", "x": "string",
        "none": "string", "date": "string",
    }  # fmt: skip
    table = metadata_table(
        [MetadataRow("p", None, row) for row in rows], find_written_columns(rows)
    )
    assert table.column("i").to_pylist() == [1, -2]
    assert table.column("f").to_pylist() == [1.5, 3.0]
    assert table.column("zero").to_pylist() == ["007", "1"]


def test_columns_of_several_tables_hold_the_values_of_each():
    tables = [{"a": "int64", "b": None, "c": "bool"}, {"a": "double", "b": "int64", "c": "string"}]
    assert merge_columns(tables) == {"a": "double", "b": "int64", "c": "string"}
    schema = pa.schema([("n", pa.int8()), ("u", pa.uint64()), ("t", pa.timestamp("s"))])
    assert find_arrow_columns([schema]) == {"n": "int64", "u": "string", "t": "string"}


def test_a_table_of_texts_has_no_paths():
    row = MetadataRow("p", "a text", {"n": 1})
    table = metadata_table([row], {"n": "int64"}, with_paths=False)
    assert table.to_pylist() == [{"caption": "a text", "n": 1}]
