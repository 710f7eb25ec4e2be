"""The arithmetic of the towers, and that it leaves torch as it was."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from clipworks.train.precision import casting, fast_attention

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_products_have_the_precision(precision, dtype):
    square = torch.ones(2, 2)
    with casting(precision, CPU):
        assert (square @ square).dtype == dtype
    assert (square @ square).dtype == torch.float32


@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_the_same_either_way(causal):
    q, k, v = torch.randn(3, 2, 2, 9, 4, generator=torch.Generator().manual_seed(1))
    fused = scaled_dot_product_attention(q, k, v, is_causal=causal)
    with fast_attention(CPU):
        plain = scaled_dot_product_attention(q, k, v, is_causal=causal)
    torch.testing.assert_close(plain, fused, rtol=1e-5, atol=1e-6)


def test_global_switches_are_put_back_even_after_an_error():
    before = torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed()
    with pytest.raises(RuntimeError, match="on purpose"), fast_attention(CPU):
        raise RuntimeError("on purpose")
    assert torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed() == before


def test_fused_kernels_are_off_inside_and_on_again_outside():
    with fast_attention(CPU):
        assert not torch.backends.cuda.flash_sdp_enabled()
    assert torch.backends.cuda.flash_sdp_enabled()
