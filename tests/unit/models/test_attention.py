import pytest
import torch
from torch import nn

from clipworks.models.attention import Attention


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("watched", [False, True])
def test_against_torchs_own_module(causal, watched):
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(24, 3, batch_first=True).double()
    ours = Attention(24, 3, causal=causal).double()
    ours.qkv.weight.data, ours.qkv.bias.data = theirs.in_proj_weight.data, theirs.in_proj_bias.data
    ours.out.load_state_dict(theirs.out_proj.state_dict())
    x = torch.randn(2, 7, 24, dtype=torch.float64)
    mask = torch.full((7, 7), -torch.inf, dtype=torch.float64).triu(1) if causal else None
    expected, pattern = theirs(x, x, x, attn_mask=mask, average_attn_weights=False)
    seen = []
    if watched:
        with ours.hook_pattern.watch(seen.append):
            got = ours(x)
        torch.testing.assert_close(seen[0], pattern)
    else:
        got = ours(x)
    torch.testing.assert_close(got, expected)


def test_heads_are_seen_apart():
    attention = Attention(24, 3, causal=False)
    seen = []
    with attention.hook_q.watch(seen.append), attention.hook_z.watch(seen.append):
        attention(torch.randn(2, 7, 24))
    assert [list(tensor.shape) for tensor in seen] == [[2, 7, 3, 8], [2, 7, 3, 8]]


def test_a_replaced_pattern_is_used():
    attention = Attention(24, 3, causal=False)
    x = torch.randn(1, 5, 24)
    with attention.hook_pattern.watch(lambda _: torch.eye(5).expand(1, 3, 5, 5)):
        got = attention(x)
    values = attention.qkv(x)[..., 48:]
    torch.testing.assert_close(got, attention.out(values))
