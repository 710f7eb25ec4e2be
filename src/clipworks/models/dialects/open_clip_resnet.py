"""How OpenAI, and open_clip after it, name the tensors of a ResNet."""

from __future__ import annotations

from torch import Tensor

from clipworks.errors import CheckpointError
from clipworks.models.dialects.dialect import join_rows, rename
from clipworks.models.facts import Tensors

FIRST_BLOCK = "visual.layer1.0.conv1.weight"
"""By which a ResNet is known; its first axis is the network's width."""

_HEAD_CHANNELS = 64
_PARTS = {"1": "reduce", "2": "middle", "3": "expand"}
_RULES = (
    *((rf"^visual\.conv{n}\.", f"visual.stem.{n - 1}.conv.") for n in (1, 2, 3)),
    *((rf"^visual\.bn{n}\.", f"visual.stem.{n - 1}.norm.") for n in (1, 2, 3)),
    *((rf"^(visual\.layer\d\.\d+)\.conv{n}\.", rf"\1.{part}.conv.") for n, part in _PARTS.items()),
    *((rf"^(visual\.layer\d\.\d+)\.bn{n}\.", rf"\1.{part}.norm.") for n, part in _PARTS.items()),
    (r"^(visual\.layer\d\.\d+)\.downsample\.0\.", r"\1.shortcut.conv."),
    (r"^(visual\.layer\d\.\d+)\.downsample\.1\.", r"\1.shortcut.norm."),
    (r"^(visual\..*\.norm)\.running_mean$", r"\1.mean"),
    (r"^(visual\..*\.norm)\.running_var$", r"\1.variance"),
    (r"^visual\.attnpool\.c_proj\.", "visual.projection."),
    (r"^visual\.attnpool\.positional_embedding$", "visual.pool.positions"),
    (r"^visual\.attnpool\.([qkv])_proj\.", r"visual.pool.attn.\1."),
)
_COUNT = ".num_batches_tracked"


def is_resnet(tensors: Tensors) -> bool:
    """Whether the image tower is a ResNet."""
    return FIRST_BLOCK in tensors


def translate_resnet(tensors: Tensors) -> dict[str, Tensor]:
    """Rename the image tower's tensors, and join the pooling's keys and values.

    Raises:
        CheckpointError: the pooling's weights do not fit each other.
    """
    kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(_COUNT)}
    state = rename(kept, _RULES)
    for kind in ("weight", "bias"):
        keys = f"visual.pool.attn.k.{kind}"
        try:
            parts = [state.pop(keys), state.pop(f"visual.pool.attn.v.{kind}")]
            state[f"visual.pool.attn.kv.{kind}"] = join_rows(parts)  # [2xfeature ...]
        except (KeyError, RuntimeError) as error:
            raise CheckpointError(f"{keys} and its v do not fit: {error}") from error
    return state


def resnet_heads(width: int, head_channels: int = _HEAD_CHANNELS) -> int:
    """Heads of the pooling over the last grid, which has 32 channels for each of `width`."""
    return 32 * width // max(head_channels, 1)
