import fsspec
import pytest

from clipworks.data.remote_files import (
    Spool,
    StoredFile,
    glob_remote,
    is_pattern,
    list_remote,
    open_file,
    read_remote,
)
from clipworks.errors import InputError, SettingsError


@pytest.fixture
def memory(request):
    files = fsspec.filesystem("memory")
    root = f"/{request.node.name}"
    files.pipe(f"{root}/b/2 é.png", b"two")
    files.pipe(f"{root}/1.png", b"1")
    files.pipe(f"{root}/.hidden", b"1")
    return f"memory:/{root}"


def test_lists_what_lies_below_in_order(memory):
    assert list_remote(memory) == [
        StoredFile(f"{memory}/1.png", 1),
        StoredFile(f"{memory}/b/2 é.png", 3),
    ]
    assert list_remote(f"{memory}/1.png") == [StoredFile(f"{memory}/1.png", 1)]
    assert glob_remote(f"{memory}/*/*.png") == [StoredFile(f"{memory}/b/2 é.png", 3)]


def test_reads(memory):
    assert read_remote(f"{memory}/b/2 é.png") == b"two"
    with open_file(f"{memory}/b/2 é.png") as stream:
        assert stream.read(1) == b"t"


def test_what_is_not_there_or_not_known_is_one_line(memory):
    with pytest.raises(InputError, match="holds nothing"):
        list_remote(f"{memory}/none")
    with pytest.raises(InputError, match="No such file"):
        read_remote(f"{memory}/none")
    with pytest.raises(SettingsError, match="nonsense"):
        list_remote("nonsense://x")
    with pytest.raises(SettingsError, match="http has no listing"):
        glob_remote("https://x/*.tar")


def test_tells_patterns():
    assert is_pattern("a*.png")
    assert is_pattern("/a?.png")
    assert is_pattern("/[ab].png")
    assert not is_pattern("https://x/a.png?size=3")
    assert not is_pattern("/a{0..3}.png")


def test_a_spool_gives_the_same_from_its_beginning_again(tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    with (tmp_path / "a").open("rb") as stream:
        spool = Spool(stream)
    for _ in range(2):
        with spool.open() as copy:
            assert copy.read() == b"content"
