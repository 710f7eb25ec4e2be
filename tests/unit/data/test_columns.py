import pyarrow as pa
import pytest

from clipworks.data.columns import MetadataRow, find_columns, metadata_table


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
