from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipworks.encoders.text_trimming import trim_padding
from clipworks.models.config import TextConfig
from clipworks.models.text import TextTower

END = 9


def rows(*texts, context=20, pad=0):
    return np.array([[*text, *[pad] * (context - len(text))] for text in texts], np.int64)


@pytest.mark.parametrize(
    ("texts", "pad", "length"),
    [
        pytest.param([[1, 2, END]], 0, 8, id="rounded up to eight"),
        pytest.param([[1, *[2] * 6, END]], 0, 8, id="eight"),
        pytest.param([[1, END], [1, *[2] * 7, END]], 0, 16, id="the longest counts"),
        pytest.param([[1, *[2] * 15, END]], 0, 20, id="never more than there is"),
        pytest.param([[1, 2, END]], END, 8, id="padded with the end token"),
        pytest.param([[1, END], [1, 2, 3]], 0, 20, id="one that does not end"),
        pytest.param([[END, 2, *[0] * 8, END + 1]], 0, 16, id="a higher id behind the end"),
        pytest.param([[1, *[2] * 9, END]], END + 1, 16, id="padded with a higher id"),
    ],
)
def test_what_is_kept(texts, pad, length):
    batch = rows(*texts, pad=pad)
    np.testing.assert_array_equal(trim_padding(batch, END), batch[:, :length])


def test_nothing_is_cut_of_no_rows_or_without_an_end_token():
    assert trim_padding(np.zeros((0, 20), np.int64), END).shape == (0, 20)
    assert trim_padding(rows([1, 2]), None).shape == (1, 20)


@pytest.fixture(scope="module")
def towers():
    import torch

    torch.manual_seed(0)
    sizes = {"width": 16, "layers": 2, "heads": 2, "mlp_width": 32, "activation": "gelu"}
    made = []
    for pooling in ("argmax", "end_token"):
        config = TextConfig(context_length=20, vocab_size=12, pooling=pooling, end_id=END, **sizes)
        assert config.ignores_padding
        tower = TextTower(config, 8).double().eval()
        for parameter in tower.parameters():
            parameter.data = torch.randn(parameter.shape).double()
        made.append(tower)
    return made


@settings(deadline=None)
@given(
    tokens=st.lists(st.lists(st.integers(0, 11), min_size=20, max_size=20), min_size=1, max_size=4)
)
def test_towers_that_ignore_padding_give_the_same_whatever_the_tokens(towers, tokens):
    import torch

    batch = np.array(tokens, np.int64)
    for tower in towers:
        with torch.inference_mode():
            whole, cut = (
                tower(torch.from_numpy(np.ascontiguousarray(one)))
                for one in (batch, trim_padding(batch, END))
            )
        torch.testing.assert_close(cut, whole, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "facts",
    [
        {"causal": False},
        {"pooling": "last"},
        {"pooling": "first", "causal": False},
        {"pooling": "class_token", "pad_id": 0},
    ],
)
def test_towers_that_read_padding_say_so(facts):
    sizes = {"width": 16, "layers": 2, "heads": 2, "mlp_width": 32, "activation": "gelu"}
    assert not TextConfig(context_length=20, vocab_size=12, **sizes, **facts).ignores_padding
