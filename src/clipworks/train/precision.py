"""The arithmetic of the towers while they train."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from clipworks.train.config import Precision


def casting(precision: Precision, device: torch.device) -> torch.autocast:
    """Run the block's matrix products in `precision`; holds for the calling thread.

    Casts are not cached: each weight is used once, and torch shares that cache between threads.
    """
    enabled = precision == "bf16"
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled, cache_enabled=False)


@contextmanager
def fast_attention(device: torch.device) -> Iterator[None]:
    """Choose the kernel of attention; holds for all threads, so enter it before they start.

    On a CPU it is the plain formula: the backward pass of torch's fused kernel is slow for the
    short sequences that small models have (4 to 7 times at 16 to 64 tokens, torch 2.13). By
    default the plain formula widens bfloat16 to float32; here it does not.
    """
    if device.type != "cpu":
        yield
        return
    switch = torch.backends.cuda
    before = switch.fp16_bf16_reduction_math_sdp_allowed()
    switch.allow_fp16_bf16_reduction_math_sdp(True)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        switch.allow_fp16_bf16_reduction_math_sdp(before)
