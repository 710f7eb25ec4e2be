import pytest

from clipworks.data.shard import Shard
from clipworks.errors import SettingsError


def test_shards_share_out_all_numbers():
    shards = [Shard.parse(f"{k}/3") for k in range(3)]
    assert [[n for n in range(7) if shard.owns(n)] for shard in shards] == [
        [0, 3, 6],
        [1, 4],
        [2, 5],
    ]
    assert str(shards[1]) == "1/3"


@pytest.mark.parametrize("text", ["", "1", "3/3", "4/3", "-1/3", "1/0", "a/b", "1/3/5"])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(SettingsError, match="expected K/N with K from 0 to N - 1"):
        Shard.parse(text)
