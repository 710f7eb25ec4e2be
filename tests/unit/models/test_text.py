import pytest
import torch

from clipworks.errors import InvalidTextError
from tests.unit.models.tiny_models import some_tokens, tiny_config, tiny_model

TOKENS = torch.tensor(
    [
        [48, 5, 9, 49, 0, 0, 0, 0],
        [48, 5, 49, 7, 49, 0, 0, 0],  # two end tokens: the first counts
        [48, 5, 9, 8, 7, 6, 5, 4],  # none
    ]
)


@pytest.mark.parametrize(
    ("pooling", "positions"),
    [
        ("argmax", [3, 2, 0]),
        ("end_token", [3, 2, 0]),
        ("last", [7, 7, 7]),
        ("first", [0, 0, 0]),
    ],
)
def test_pooling(pooling, positions):
    tower = tiny_model(tiny_config(text={"pooling": pooling, "end_id": 49})).text
    with torch.no_grad():
        tokens = tower.encode_tokens(TOKENS)
        expected = tower.projection(tokens[torch.arange(3), positions])
        assert torch.equal(tower(TOKENS), expected)


def test_end_token_may_be_a_small_id():
    tower = tiny_model(tiny_config(text={"pooling": "end_token", "end_id": 2})).text
    tokens = torch.tensor([[48, 5, 2, 0, 0, 0, 0, 0]])
    with torch.no_grad():
        expected = tower.projection(tower.encode_tokens(tokens)[:, 2])
        assert torch.equal(tower(tokens), expected)


@pytest.mark.parametrize("causal", [True, False])
def test_only_a_causal_tower_ignores_what_comes_later(causal):
    tower = tiny_model(tiny_config(text={"causal": causal})).text
    tokens = some_tokens()
    changed = tokens.clone()
    changed[:, 5:] = 3
    with torch.no_grad():
        before, after = tower.encode_tokens(tokens), tower.encode_tokens(changed)
    assert torch.allclose(before[:, :5], after[:, :5], atol=1e-6) == causal


def test_a_shorter_context_is_allowed():
    tower = tiny_model().text
    with torch.no_grad():
        torch.testing.assert_close(tower(TOKENS[:1]), tower(TOKENS[:1, :5]))


def test_a_longer_context_is_refused():
    with pytest.raises(InvalidTextError, match="9 tokens, but this model reads at most 8"):
        tiny_model().encode_text(torch.zeros(1, 9, dtype=torch.int64))


@pytest.mark.parametrize(
    ("projection", "names"),
    [
        ("none", set()),
        ("linear", {"projection.weight"}),
        ("linear_bias", {"projection.weight", "projection.bias"}),
    ],
)
def test_projections(projection, names):
    tower = tiny_model(tiny_config(text={"projection": projection}, embed_dim=16)).text
    assert {name for name in tower.state_dict() if name.startswith("projection")} == names
    assert tower(TOKENS).shape == (3, 16)
