import pytest
import torch
from torch import nn

from clipworks.models.attention_pooling import AttentionPool


def filled(module, *, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return module.double()


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("width", [12, 20])
def test_against_torchs_own_module(width, watched):
    ours = filled(AttentionPool(width, 12, heads=3, num_queries=4))
    theirs = nn.MultiheadAttention(12, 3, kdim=width, vdim=width, batch_first=True).double()
    key, value = ours.attn.kv.weight.chunk(2)
    with torch.no_grad():
        if width == 12:
            theirs.in_proj_weight.copy_(torch.cat([ours.attn.q.weight, key, value]))
        else:
            theirs.q_proj_weight.copy_(ours.attn.q.weight)
            theirs.k_proj_weight.copy_(key)
            theirs.v_proj_weight.copy_(value)
        theirs.in_proj_bias.copy_(torch.cat([ours.attn.q.bias, ours.attn.kv.bias]))
        theirs.out_proj.load_state_dict(ours.attn.out.state_dict())
        x = torch.randn(2, 7, width, dtype=torch.float64)
        keys = nn.functional.layer_norm(x, (width,), ours.norm_k.weight, ours.norm_k.bias)
        queries = nn.functional.layer_norm(
            ours.queries, (12,), ours.norm_q.weight, ours.norm_q.bias
        )
        expected, pattern = theirs(
            queries.expand(2, -1, -1), keys, keys, average_attn_weights=False
        )
        seen = []
        if watched:
            with ours.attn.hook_pattern.watch(seen.append):
                got = ours(x)
            torch.testing.assert_close(seen[0], pattern)
        else:
            got = ours(x)
    torch.testing.assert_close(got, expected)


def test_a_query_answers_alone():
    pool = filled(AttentionPool(8, 12, heads=3, num_queries=4))
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    with torch.no_grad():
        whole = pool(x)
        pool.queries.data = pool.queries[2:3]
        torch.testing.assert_close(pool(x), whole[:, 2:3])


def test_the_tokens_order_does_not_matter():
    pool = filled(AttentionPool(8, 12, heads=3, num_queries=2))
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(pool(x.flip(1)), pool(x))
