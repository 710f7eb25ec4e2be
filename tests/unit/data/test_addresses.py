import fsspec
import pytest

from clipworks.data.addresses import (
    cell_address,
    is_address,
    protocol_of,
    read_address,
    short_name,
    tar_address,
)
from clipworks.errors import InputError
from tests.support.sources import write_tar


@pytest.mark.parametrize(
    ("text", "protocol"),
    [
        ("https://x/y", "https"),
        ("S3://bucket/key", "s3"),
        ("tar://a.jpg::/x.tar", "tar"),
        ("/a/b.jpg", None),
        ("a://b", "a"),
        ("/odd/http://x", None),
        ("c:/x", None),
        ("1://x", None),
    ],
)
def test_tells_addresses_from_paths(text, protocol):
    assert protocol_of(text) == protocol
    assert is_address(text) == (protocol is not None)


@pytest.mark.parametrize("name", ["a.jpg", "dir/é 日.jpg", "we::ird.jpg", "50%?#.jpg"])
def test_a_tars_file_is_found_again_by_us(tmp_path, name):
    path = write_tar(tmp_path / "x.tar", [("other.jpg", b"no"), (name, b"yes")])
    assert read_address(tar_address(name, str(path))) == b"yes"


@pytest.mark.parametrize("name", ["a.jpg", "dir/é 日.jpg"])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_and_by_fsspec(tmp_path, name, mode):
    path = write_tar(tmp_path / ("x.tar" + mode[1:].replace(":", ".")), [(name, b"yes")], mode)
    with fsspec.open(tar_address(name, str(path))) as stream:
        assert stream.read() == b"yes"
    assert read_address(tar_address(name, str(path))) == b"yes"


def test_a_cells_address_takes_any_column():
    assert cell_address("a/b ::c", 7, "/x.parquet") == "parquet://a%2Fb%20%3A%3Ac/7::/x.parquet"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("tar://a.jpg::/none.tar", "No such file"),
        ("tar://a.jpg::memory://none/x.tar", "No such file"),
        ("parquet://a/x::/none.parquet", "not the address of a cell"),
        ("parquet://a/1::/none.parquet", "No such file"),
        ("memory://nothing/here.jpg", "No such file"),
        ("nonsense://x/y", "nonsense"),
        ("tar://alone.jpg", "cannot be read|tar"),
    ],
)
def test_what_cannot_be_read_is_one_line(address, reason):
    with pytest.raises(InputError, match=reason) as caught:
        read_address(address)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("image_path", "name"),
    [
        ("/data/a/cat.jpg", "cat.jpg"),
        ("C:\\pictures\\cat.jpg", "cat.jpg"),
        ("tar://a/cat.jpg::/data/00000.tar", "cat.jpg"),
        ("tar://cat.jpg::s3://bucket/00000.tar", "cat.jpg"),
        ("parquet://image/12::/data/a.parquet", "a-12"),
        ("https://example.org/a%20cat.jpg?size=2#top", "a cat.jpg"),
        ("https://example.org/a%2Fcat.jpg", "a_cat.jpg"),
        ("s3://bucket/a/cat.jpg", "cat.jpg"),
        ("https://example.org/", ""),
    ],
)
def test_a_short_name_is_a_file_name(image_path, name):
    assert short_name(image_path) == name
