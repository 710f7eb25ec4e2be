import pytest
import torch

from clipworks.errors import CheckpointError
from clipworks.models.dialects.open_clip_pools import translate_pools


def pool(width, dim=4, *, name="visual.attn_pool"):
    generator = torch.Generator().manual_seed(0)
    shapes = {
        "attn.in_proj_bias": (3 * dim,),
        "query": (2, dim),
        "attn.out_proj.weight": (dim, dim),
    }
    shapes |= {"ln_q.weight": (dim,), "ln_k.weight": (width,)}
    if width == dim:
        shapes["attn.in_proj_weight"] = (3 * dim, dim)
    else:
        shapes |= {f"attn.{letter}_proj_weight": (dim, width) for letter in "kv"}
        shapes["attn.q_proj_weight"] = (dim, dim)
    return {
        f"{name}.{part}": torch.randn(shape, generator=generator) for part, shape in shapes.items()
    }


def test_one_matrix_or_three_say_the_same():
    one = pool(4)
    three = {name: tensor for name, tensor in one.items() if "in_proj_weight" not in name}
    parts = one["visual.attn_pool.attn.in_proj_weight"].chunk(3)
    for letter, part in zip("qkv", parts, strict=True):
        three[f"visual.attn_pool.attn.{letter}_proj_weight"] = part
    first, second = translate_pools(one), translate_pools(three)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_names():
    state = translate_pools(pool(6) | pool(4, name="visual.attn_pool_contrastive"))
    parts = ("attn.kv.bias", "attn.kv.weight", "attn.out.weight", "attn.q.bias", "attn.q.weight")
    parts += ("norm_k.weight", "norm_q.weight", "queries")
    expected = [f"visual.attention_pool.{number}.{part}" for number in (0, 1) for part in parts]
    assert sorted(state) == expected
    assert list(state["visual.attention_pool.0.attn.kv.weight"].shape) == [8, 6]


def test_other_tensors_stay_as_they_are():
    state = {
        "visual.proj": torch.ones(2),
        "text.transformer.resblocks.0.attn.in_proj_bias": torch.ones(3),
    }
    assert translate_pools(state) == state


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state.pop("visual.attn_pool.attn.v_proj_weight"),
        lambda state: state.update({"visual.attn_pool.attn.in_proj_bias": torch.ones(1)}),
        lambda state: state.update({"visual.attn_pool.attn.k_proj_weight": torch.ones(4, 5)}),
    ],
)
def test_what_does_not_fit_is_refused(damage):
    state = pool(6)
    damage(state)
    with pytest.raises(CheckpointError, match=r"attention_pool\.0\.attn: its weights do not fit"):
        translate_pools(state)
