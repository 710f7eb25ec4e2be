"""SigLIP's image towers as timm names their tensors, inside an open_clip model.

A configuration of open_clip names such a tower and says nothing else about it. Its sizes are those
of the tensors; heads and activation belong to the name, and stand in timm_siglip.json as timm
1.0.31 has them. For a name that is not there they are asked for.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

from torch import Tensor

from clipworks.errors import CheckpointError
from clipworks.models.dialects.dialect import rename
from clipworks.models.dialects.json_options import Options
from clipworks.models.facts import Tensors

_TRUNK = "visual.trunk."
_PROBE = f"{_TRUNK}attn_pool.latent"
_RULES = (
    (r"^visual\.head\.proj\.", "visual.projection."),
    (r"^visual\.trunk\.attn_pool\.latent$", "visual.map_pool.probe"),
    (r"^visual\.trunk\.attn_pool\.(q|kv)\.", r"visual.map_pool.attn.\1."),
    (r"^visual\.trunk\.attn_pool\.proj\.", "visual.map_pool.attn.out."),
    (r"^visual\.trunk\.attn_pool\.norm\.", "visual.map_pool.ln."),
    (r"^visual\.trunk\.attn_pool\.mlp\.", "visual.map_pool.mlp."),
    (r"^visual\.trunk\.patch_embed\.proj\.", "visual.patch_embed."),
    (r"^visual\.trunk\.pos_embed$", "visual.positions"),
    (r"^visual\.trunk\.norm\.", "visual.ln_final."),
    (r"^visual\.trunk\.blocks\.(\d+)\.norm([12])\.", r"visual.blocks.\1.ln\2."),
    (r"^visual\.trunk\.blocks\.(\d+)\.attn\.proj\.", r"visual.blocks.\1.attn.out."),
    (r"^visual\.trunk\.blocks\.", "visual.blocks."),
    (r"^(visual\..*)\.mlp\.fc1\.", r"\1.mlp.up."),
    (r"^(visual\..*)\.mlp\.fc2\.", r"\1.mlp.down."),
)
_LEADING_ONES = {"visual.positions": 2, "visual.map_pool.probe": 1}  # and the rank without them
_NORM_EPS = 1e-6  # of every plain vision transformer in timm
_POOLING = {"map": "map"}
_PROJECTIONS = {"none": "none", "linear": "linear"}


def translate_trunk(tensors: Tensors) -> dict[str, Tensor]:
    """Tensors with those of a timm tower, where there is one, in clipworks's names.

    Raises:
        CheckpointError: a timm tower of another kind than SigLIP's.
    """
    if not any(name.startswith(_TRUNK) for name in tensors):
        return dict(tensors)
    if _PROBE not in tensors or f"{_TRUNK}cls_token" in tensors:
        raise CheckpointError(
            f"an image tower from timm ({_TRUNK}*) that is not one of SigLIP's is not supported yet"
        )
    # Only the tower: a text tower's layers have names of open_clip's own.
    names = {name for name in tensors if name.startswith("visual.")}
    state = rename({name: tensors[name] for name in names}, _RULES)
    for name, rank in _LEADING_ONES.items():
        if name in state and state[name].ndim > rank:
            state[name] = _drop_leading_ones(state[name], rank)
    return state | {name: tensor for name, tensor in tensors.items() if name not in names}


def state_trunk(vision: Options) -> dict[str, Any]:
    """What open_clip's `vision_cfg` says of a timm tower, and what the tower's name stands for.

    Raises:
        CheckpointError: another pooling or projection than clipworks has.
    """
    projection = vision.choice("timm_proj", "linear", _PROJECTIONS)
    if projection == "linear" and vision.flag("timm_proj_bias"):
        projection = "linear_bias"
    size = {"image_size": vision.square("image_size", 224)} if vision.has("image_size") else {}
    return {
        **size,
        "pooling": vision.choice("timm_pool", "avg", _POOLING),
        "norm_pooled": False,
        "patch_bias": True,
        "projection": projection,
        **_named_facts(vision.word("timm_model_name", "")),
    }


def _named_facts(name: str) -> dict[str, Any]:
    """Nothing for a name that is not in the table."""
    text = (
        files("clipworks.models.dialects").joinpath("timm_siglip.json").read_text(encoding="utf-8")
    )
    known: dict[str, dict[str, Any]] = json.loads(text)
    architecture = re.sub(r"^timm/|\..*$", "", name)  # `vit_base_patch16_siglip_224.webli`
    facts = known.get(architecture)
    return {} if facts is None else {**facts, "norm_eps": _NORM_EPS}


def _drop_leading_ones(tensor: Tensor, rank: int) -> Tensor:
    extra = tensor.ndim - rank
    return tensor.flatten(0, extra) if set(tensor.shape[:extra]) == {1} else tensor
