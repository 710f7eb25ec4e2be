import pytest
import torch
from torch import nn

from clipworks.models.map_pooling import MapPool
from clipworks.models.sites import observe, replace
from tests.unit.models.tiny_models import siglip_config, tiny_model


def filled_pool() -> MapPool:
    generator = torch.Generator().manual_seed(3)
    pool = MapPool(siglip_config().vision).double()
    with torch.no_grad():
        for parameter in pool.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return pool


def tokens(count=3, length=7) -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    return torch.randn(count, length, 16, generator=generator).double()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("watched", [False, True])
def test_against_torchs_own_attention(masked, watched):
    ours, x = filled_pool(), tokens()
    theirs = nn.MultiheadAttention(16, 2, batch_first=True).double()
    theirs.in_proj_weight.data = torch.cat([ours.attn.q.weight, ours.attn.kv.weight])
    theirs.in_proj_bias.data = torch.cat([ours.attn.q.bias, ours.attn.kv.bias])
    theirs.out_proj.load_state_dict(ours.attn.out.state_dict())
    lengths = torch.tensor([7, 2, 5])
    belongs = torch.arange(7) < lengths[:, None] if masked else None
    probe = ours.probe.expand(3, 1, -1)
    padding = None if belongs is None else ~belongs
    found, pattern = theirs(probe, x, x, key_padding_mask=padding, average_attn_weights=False)
    normal = nn.functional.layer_norm(found, (16,), ours.ln.weight, ours.ln.bias, 1e-6)
    hidden = nn.functional.gelu(normal @ ours.mlp.up.weight.T + ours.mlp.up.bias)
    expected = found + hidden @ ours.mlp.down.weight.T + ours.mlp.down.bias
    mask = None if belongs is None else belongs[:, None, None]
    with observe(ours, ["*.hook_pattern" if watched else "hook_attn_out"]) as seen:
        got = ours(x, mask)
    torch.testing.assert_close(got, expected[:, 0])
    (shown,) = seen.values()
    torch.testing.assert_close(shown, pattern if watched else found)


def test_what_is_masked_is_not_seen():
    pool, x = filled_pool(), tokens()
    mask = torch.tensor([True] * 5 + [False] * 2).expand(3, 1, 1, 7)
    other = x.clone()
    other[:, 5:] = 1e3
    torch.testing.assert_close(pool(x, mask), pool(other, mask))
    torch.testing.assert_close(pool(x, mask), pool(x[:, :5]))


def test_its_sites_bear_the_names_of_a_blocks_attention():
    model = tiny_model(siglip_config())
    pixels = torch.zeros(2, 3, 16, 16)
    site = "visual.map_pool.attn.hook_pattern"
    with observe(model, [site, "visual.map_pool.attn.hook_[qkvz]"]) as seen:
        model.encode_image(pixels)
    assert {name.rpartition("_")[2]: list(tensor.shape) for name, tensor in seen.items()} == {
        "q": [2, 1, 2, 8],
        "k": [2, 16, 2, 8],
        "v": [2, 16, 2, 8],
        "z": [2, 1, 2, 8],
        "pattern": [2, 2, 1, 16],
    }
    before = model.encode_image(pixels)
    with replace(model, {site: lambda pattern: torch.ones_like(pattern) / pattern.shape[-1]}):
        assert not torch.allclose(model.encode_image(pixels), before)
