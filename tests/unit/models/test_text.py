import pytest
import torch

from clipworks.errors import InvalidTextError
from clipworks.models.sites import observe, sites_of
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


class TestClassToken:
    """CoCa's text tower."""

    config = tiny_config(text={"pooling": "class_token", "pad_id": 0})

    def test_it_comes_last_and_is_pooled(self):
        tower = tiny_model(self.config).text
        with torch.no_grad():
            tokens = tower.encode_tokens(TOKENS)
            assert list(tokens.shape) == [3, 9, 16]
            torch.testing.assert_close(tower(TOKENS), tower.projection(tokens[:, -1]))

    def test_padding_is_hidden_but_for_its_first_token(self):
        model = tiny_model(self.config)
        with observe(model, ["text.blocks.*.hook_pattern"]) as seen, torch.no_grad():
            model.encode_text(TOKENS)
        for pattern in seen.values():
            looks = pattern[:, :, -1] > 0  # [text head key]: where the class token looks
            assert looks[0].all(0).tolist() == [True] * 5 + [False] * 4
            assert looks[2].all(0).tolist() == [True] * 9

    def test_what_pads_does_not_matter(self):
        tower = tiny_model(self.config).text
        with torch.no_grad():
            before = tower(TOKENS)
            tower.positions[5:8] *= -3  # of the padding, after its first token
            assert torch.allclose(tower(TOKENS[:1]), before[:1], atol=1e-6)
            assert not torch.allclose(tower(TOKENS[2:]), before[2:], atol=1e-3)


class TestRotary:
    """TULIP's text tower."""

    config = tiny_config(text={"positions": "rotary", "rotary_theta": 50.0})

    @staticmethod
    def plain(tower, tokens):
        """The tower by its formulas, in float64, with rotations as complex numbers."""
        weights = {name: tensor.double() for name, tensor in tower.state_dict().items()}
        heads, width, theta = 2, 16, 50.0
        channels = width // heads

        def norm(x, name):
            centred = x - x.mean(-1, keepdim=True)
            scale = (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
            return centred / scale * weights[f"{name}.weight"] + weights[f"{name}.bias"]

        def linear(x, name):
            return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

        def turn(x, position):
            points = torch.view_as_complex(x.reshape(-1, channels // 2, 2).contiguous())
            angles = position * theta ** (-torch.arange(0, channels, 2).double() / channels)
            turned = points * torch.polar(torch.ones_like(angles), angles)
            return torch.view_as_real(turned).reshape(x.shape)

        vectors = []
        for row in tokens:
            x = weights["token_embed.weight"][row]  # [token width]
            for layer in range(2):
                block = f"blocks.{layer}"
                q, k, v = linear(norm(x, f"{block}.ln1"), f"{block}.attn.qkv").chunk(3, dim=1)
                written = torch.zeros_like(x)
                for head in range(heads):
                    part = slice(head * channels, (head + 1) * channels)
                    for m in range(len(row)):
                        scores = torch.stack(
                            [turn(q[m, part], m) @ turn(k[n, part], n) for n in range(m + 1)]
                        )
                        weight = (scores / channels**0.5).softmax(0)
                        written[m, part] = weight @ v[: m + 1, part]
                x = x + linear(written, f"{block}.attn.out")
                hidden = linear(norm(x, f"{block}.ln2"), f"{block}.mlp.up")
                hidden = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
                x = x + linear(hidden, f"{block}.mlp.down")
            pooled = norm(x, "ln_final")[row.argmax()]
            vectors.append(pooled @ weights["projection.weight"].T)
        return torch.stack(vectors)

    def test_against_the_formula(self):
        tower = tiny_model(self.config).text
        expected = self.plain(tower, TOKENS)
        with torch.no_grad():
            torch.testing.assert_close(tower.double()(TOKENS), expected, rtol=1e-12, atol=1e-12)
            single = tiny_model(self.config).text(TOKENS)
        torch.testing.assert_close(single.double(), expected, rtol=1e-5, atol=1e-5)

    def test_there_is_no_table(self):
        model = tiny_model(self.config)
        assert "text.positions" not in model.state_dict()
        assert "text.hook_pos_embed" not in sites_of(model)
        with observe(model, ["text.*"]) as seen, torch.no_grad():
            model.encode_text(TOKENS)
        assert seen.keys() == {name for name in sites_of(model) if name.startswith("text.")}

    def test_the_order_of_the_words_matters(self):
        tower = tiny_model(self.config).text
        swapped = TOKENS[:1, [0, 2, 1, 3, 4, 5, 6, 7]]
        with torch.no_grad():
            assert not torch.allclose(tower(swapped), tower(TOKENS[:1]), atol=1e-3)

    def test_theta_matters(self):
        tower = tiny_model(self.config).text
        other = tiny_model(tiny_config(text={"positions": "rotary", "rotary_theta": 60.0})).text
        other.load_state_dict(tower.state_dict())
        with torch.no_grad():
            assert not torch.allclose(other(TOKENS), tower(TOKENS), atol=1e-4)

    def test_a_shorter_context_is_allowed(self):
        tower = tiny_model(self.config).text
        with torch.no_grad():
            torch.testing.assert_close(tower(TOKENS[:1]), tower(TOKENS[:1, :5]))
