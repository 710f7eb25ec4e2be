"""How open_clip names the learnt queries that pool (its `AttentionalPooler`)."""

from __future__ import annotations

from torch import Tensor

from clipworks.errors import CheckpointError
from clipworks.models.dialects.dialect import join_rows, rename
from clipworks.models.facts import Tensors

_RULES = (
    (r"^visual\.attn_pool\.", "visual.attention_pool.0."),
    (r"^visual\.attn_pool_contrastive\.", "visual.attention_pool.1."),
    (r"(\.attention_pool\.\d)\.query$", r"\1.queries"),
    (r"(\.attention_pool\.\d)\.ln_([qk])\.", r"\1.norm_\2."),
    (r"(\.attention_pool\.\d\.attn)\.out_proj\.", r"\1.out."),
)


def translate_pools(tensors: Tensors) -> dict[str, Tensor]:
    """Rename the pools, and part their queries from their keys and values.

    Raises:
        CheckpointError: a pool's weights do not fit each other.
    """
    state = rename(tensors, _RULES)
    for attn in ("visual.attention_pool.0.attn", "visual.attention_pool.1.attn"):
        if f"{attn}.in_proj_bias" in state:
            try:
                state |= _part(state, attn)
            except (KeyError, ValueError, RuntimeError) as error:
                raise CheckpointError(f"{attn}: its weights do not fit: {error}") from error
    return state


def _part(state: dict[str, Tensor], attn: str) -> dict[str, Tensor]:
    """`q` and `kv` of one pool, whose sources leave `state`.

    PyTorch keeps one matrix where tokens and queries are of one width, and three otherwise.
    """
    q_bias, *kv_biases = state.pop(f"{attn}.in_proj_bias").chunk(3)
    if f"{attn}.in_proj_weight" in state:
        q, *kv = state.pop(f"{attn}.in_proj_weight").chunk(3)
    else:
        q, *kv = (state.pop(f"{attn}.{letter}_proj_weight") for letter in "qkv")
    return {
        f"{attn}.q.weight": q,
        f"{attn}.q.bias": q_bias,
        f"{attn}.kv.weight": join_rows(kv),  # [2xdim width]
        f"{attn}.kv.bias": join_rows(kv_biases),  # [2xdim]
    }
