import pytest

from clipworks.errors import SettingsError
from clipworks.search.index_settings import IndexSettings, machine_memory_bytes, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("6GB", 6 * 10**9),
        ("6g", 6 * 10**9),
        (" 512 MB ", 512 * 10**6),
        ("1.5GiB", 1536 * 2**20),
        ("2MiB", 2 * 2**20),
        ("1t", 10**12),
        ("2000000", 2_000_000),
    ],
)
def test_sizes_are_read(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "6 apples", "-6GB", "1e9", "6GBB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(SettingsError, match="expected a size such as 6GB"):
        parse_size(text)


def test_too_little_is_refused():
    with pytest.raises(SettingsError, match="1MB at the least"):
        parse_size("900KB")


def test_half_of_the_machine_is_the_default():
    assert IndexSettings().memory == machine_memory_bytes() // 2
    assert IndexSettings(memory_bytes=7).memory == 7


@pytest.mark.parametrize("recall", [0, -0.1, 1.01, 95])
def test_a_recall_is_a_share(recall):
    with pytest.raises(SettingsError, match="share above 0"):
        IndexSettings(recall=recall)
