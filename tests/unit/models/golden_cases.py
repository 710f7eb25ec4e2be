"""The golden cases: their models, inputs and expected outputs."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from clipworks.models.checkpoints import Checkpoint, load_checkpoint
from clipworks.models.clip import Clip
from clipworks.models.facts import CheckpointHints
from clipworks.models.naflex import PatchBatch

GOLDEN = Path(__file__).parents[2] / "golden" / "models"
CASES = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())

# What the files leave open: OpenAI's layout the heads, open_clip's all that stands in timm's names.
_HINTS = {
    "03a_oc_siglip": CheckpointHints(vision_heads=4, vision_activation="gelu", norm_eps=1e-6),
    "03b_oc_siglip2_so400m_style": CheckpointHints(
        vision_heads=5, vision_activation="gelu_tanh", norm_eps=1e-6
    ),
    "07a_openai_layout_of_02": CheckpointHints(vision_heads=4, text_heads=4),
}
_SAME_WEIGHTS = {"06b_hf_siglip2_naflex": "06a_hf_siglip2_fixed"}
_PARALLEL_POOLS = "08f_oc_attnpool_parallel"
_SITES = (
    (r"^visual\.pool\.attn_out$", "visual.map_pool.hook_attn_out"),
    (r"^visual\.pool\.ln$", "visual.map_pool.ln.hook_normalized"),
    (r"^visual\.pool\.", "visual.map_pool."),
    (r"^visual\.attn_pool(_contrastive)?\.", "visual.attention_pool.0."),
    (r"^(visual\.attention_pool\.0)\.ln_([qk])$", r"\1.norm_\2.hook_normalized"),
    (r"^(visual\.attention_pool\.0)\.out$", r"\1.hook_attn_out"),
    (r"^visual\.(stem|layer\d)$", r"visual.hook_\1"),
    (r"^visual\.attnpool\.input_with_pos$", "visual.pool.hook_tokens"),
    (r"^visual\.attnpool\.", "visual.pool."),
    (r"tokens_final$", "ln_final.hook_normalized"),
    (r"^visual\.embed$", "visual.hook_full_embed"),
    (r"^visual\.(ln_pre|pooled)$", r"visual.hook_\1"),
    (r"\.mlp_(pre|post)$", r".mlp.hook_\1"),
    (r"\.attn_pattern$", ".attn.hook_pattern"),
    (r"\.(resid_\w+)$", r".hook_\1"),
)


@dataclass(frozen=True)
class GoldenCase:
    name: str

    @property
    def weights(self) -> Path:
        return GOLDEN / _SAME_WEIGHTS.get(self.name, self.name) / "state_dict.safetensors"

    @property
    def config(self) -> dict[str, Any] | None:
        """The side file's content; OpenAI's layout needs none."""
        stated = json.loads((GOLDEN / self.name / "config.json").read_text())
        if stated["library"] == "openai/CLIP naming":
            return None
        return stated.get("hf_config_json") or {"model_cfg": stated["kwargs"]}

    @property
    def hints(self) -> CheckpointHints | None:
        return _HINTS.get(self.name)

    def load(self) -> Checkpoint:
        return load_checkpoint(self.weights, config=self.config, hints=self.hints)

    def inputs(self) -> dict[str, Tensor]:
        return load_file(GOLDEN / self.name / "inputs.safetensors")

    def outputs(self) -> dict[str, Tensor]:
        outputs = load_file(GOLDEN / self.name / "outputs.safetensors")
        if self.name == _PARALLEL_POOLS:  # whose one query keeps an axis of its own
            outputs["image_features"] = outputs["image_features"].squeeze(1)
            outputs["logits_per_image"] = outputs["logits_per_image"].squeeze(1)
        if (pattern := outputs.get("visual.attnpool.attn_pattern")) is not None:
            # The library lets every place ask; only the answer to the mean's question is used.
            outputs["visual.attnpool.attn_pattern"] = pattern[:, :, :1]
        return outputs

    def stretch(self) -> dict[str, Tensor]:
        return load_file(GOLDEN / self.name / "stretch.safetensors")


def features(model: Clip, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the model makes of a case's pictures, cut into patches or whole, and texts."""
    with torch.no_grad():
        if "spatial_shapes" in inputs:
            images = model.encode_patches(patches_of(inputs))
        else:
            images = model.encode_image(inputs["pixel_values"])
        return {"image_features": images, "text_features": model.encode_text(inputs["input_ids"])}


def patches_of(inputs: dict[str, Tensor]) -> PatchBatch:
    """The pictures of a case that has them cut."""
    return PatchBatch(inputs["pixel_values"], inputs["spatial_shapes"])


def site_of(output: str) -> str:
    """The site at which a golden output was taken."""
    for pattern, replacement in _SITES:
        output = re.sub(pattern, replacement, output)
    return output


def relative_error(got: Tensor, expected: Tensor) -> float:
    """The largest difference, over the largest number expected."""
    assert got.shape == expected.shape
    return float((got - expected).abs().max() / expected.abs().max())
