"""Hugging Face transformers: `CLIPModel`, `SiglipModel` and `Siglip2Model`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, final

from torch import Tensor

from clipworks.errors import CheckpointError
from clipworks.models.config import TextConfig
from clipworks.models.dialects.dialect import (
    AbstractDialect,
    DialectName,
    TokenizerFacts,
    join_rows,
    rename,
    require_bias,
    tokenizer_files,
)
from clipworks.models.dialects.huggingface_configs import part_of, state_huggingface
from clipworks.models.dialects.json_options import Options
from clipworks.models.facts import Facts, Tensors
from clipworks.models.tensor_files import TensorFile, read_json

_RULES = (
    (r"^vision_model\.head\.attention\.in_proj_", "visual.map_pool.attn.qkv."),
    (r"^vision_model\.head\.attention\.out_proj\.", "visual.map_pool.attn.out."),
    (r"^vision_model\.head\.layernorm\.", "visual.map_pool.ln."),
    (r"^vision_model\.head\.", "visual.map_pool."),
    (r"^text_model\.head\.", "text.projection."),
    (r"^vision_model\.", "visual."),
    (r"^text_model\.", "text."),
    (r"^visual_projection\.", "visual.projection."),
    (r"^text_projection\.", "text.projection."),
    (r"\.embeddings\.patch_embedding\.", ".patch_embed."),
    (r"\.embeddings\.class_embedding$", ".class_token"),
    (r"\.embeddings\.position_embedding\.weight$", ".positions"),
    (r"\.embeddings\.token_embedding\.", ".token_embed."),
    (r"\.pre_layrnorm\.", ".ln_pre."),  # spelt so in every checkpoint
    (r"\.(post_layernorm|final_layer_norm)\.", ".ln_final."),
    (r"\.encoder\.layers\.", ".blocks."),
    (r"\.layer_norm([12])\.", r".ln\1."),
    (r"\.self_attn\.out_proj\.", ".attn.out."),
    (r"\.self_attn\.([qkv])_proj\.", r".attn.\1."),
    (r"\.mlp\.fc1\.", ".mlp.up."),
    (r"\.mlp\.fc2\.", ".mlp.down."),
)
_COMPUTED = ".embeddings.position_ids"
_PATCH_EMBEDDING = "vision_model.embeddings.patch_embedding.weight"


@final
class HuggingFaceDialect(AbstractDialect):
    """The `clip`, `siglip` and `siglip2` families of transformers."""

    name: ClassVar[DialectName] = "huggingface"
    config_file: ClassVar[str] = "config.json"

    def recognises(self, file: TensorFile) -> bool:
        """By the towers' prefixes."""
        return any(name.startswith(("vision_model.", "text_model.")) for name in file.tensors)

    def translate(self, tensors: Tensors) -> dict[str, Tensor]:
        """Rename, join queries, keys and values, and bring SigLIP's parts into our layouts."""
        kept = {name: value for name, value in tensors.items() if not name.endswith(_COMPUTED)}
        state = _join_qkv(rename(kept, _RULES))
        _split_pooling(state)
        weight = state.get("visual.patch_embed.weight")
        if weight is not None and weight.ndim == 2:
            state["visual.patch_embed.weight"] = _fold_patches(weight)
        return state

    def state_facts(self, file: TensorFile, config: Mapping[str, Any] | None) -> Facts:
        """What the tensors show of the kind, and the configuration of the rest.

        A NaFlex model takes patches that are cut already: its embedding is a matrix.
        """
        weight = file.tensors.get(_PATCH_EMBEDDING)
        naflex = weight is not None and weight.ndim == 2
        rule = "bilinear_antialias" if naflex else "bicubic"
        shown = Facts({"naflex": naflex, "position_resize": rule})
        if config is None:
            return shown
        stated = state_huggingface(config)
        if (kind := config.get("model_type")) in ("siglip", "siglip2"):
            require_bias(file.tensors, f"the configuration's model_type {kind!r}")
        if weight is not None and stated.vision["naflex"] != naflex:
            raise CheckpointError(
                f"{_PATCH_EMBEDDING} has the shape {list(weight.shape)}: the {self.config_file} is "
                "of another kind of model, and belongs to other weights"
            )
        return shown | stated

    def read_preprocessing(self, file: TensorFile) -> dict[str, Any] | None:
        """The image processor's file, in its older or its newer place."""
        older = file.folder / "preprocessor_config.json"
        if older.is_file():
            return read_json(older)
        newer = file.folder / "processor_config.json"
        options = Options(newer.name, read_json(newer) if newer.is_file() else {})
        return dict(options.part("image_processor").values) or None

    def tokenizer_facts(
        self, file: TensorFile, config: Mapping[str, Any] | None, text_config: TextConfig
    ) -> TokenizerFacts:
        """From the tokenizer's own files, then from the configuration where it can be trusted."""
        ids = {role: _special_id(file.folder, role) for role in ("bos", "eos", "pad")}
        if text_config.pooling == "last":  # SigLIP's tokenizers have a start token and put none
            ids["bos"] = None
        start_id = None
        if config is not None and text_config.pooling == "end_token":
            start_id = part_of(config, "text").integer("bos_token_id", 49406)
        return TokenizerFacts(
            files=tokenizer_files(file.folder),
            start_id=start_id if ids["bos"] is None else ids["bos"],
            end_id=text_config.end_id if ids["eos"] is None else ids["eos"],
            pad_id=text_config.pad_id if ids["pad"] is None else ids["pad"],
        )


def _join_qkv(state: dict[str, Tensor]) -> dict[str, Tensor]:
    joined = dict(state)
    for name in state:
        if ".attn.q." in name:
            try:
                parts = [joined.pop(name.replace(".q.", f".{letter}.")) for letter in "qkv"]
                joined[name.replace(".q.", ".qkv.")] = join_rows(parts)  # [3xwidth ...]
            except (KeyError, RuntimeError) as error:
                raise CheckpointError(f"{name} does not fit its k and v: {error}") from error
    return joined


def _split_pooling(state: dict[str, Tensor]) -> None:
    """Part the pooling head's joint matrix: its queries come from elsewhere than the rest."""
    for kind in ("weight", "bias"):
        joint = state.pop(f"visual.map_pool.attn.qkv.{kind}", None)
        if joint is not None and joint.ndim:
            width = joint.shape[0] // 3
            state[f"visual.map_pool.attn.q.{kind}"] = joint[:width]
            state[f"visual.map_pool.attn.kv.{kind}"] = joint[width:]
    probe = state.get("visual.map_pool.probe")
    if probe is not None and tuple(probe.shape[:-1]) == (1, 1):
        state["visual.map_pool.probe"] = probe[0, 0]  # [1 1 width] to [width]


def _fold_patches(weight: Tensor) -> Tensor:
    """A matrix on cut patches as the convolution that cuts them itself."""
    patch_size = math.isqrt(weight.shape[1] // 3)
    if 3 * patch_size**2 != weight.shape[1]:
        raise CheckpointError(
            f"{_PATCH_EMBEDDING} has the shape {list(weight.shape)}: expected 3 numbers for each "
            "pixel of a square patch"
        )
    pixels = weight.unflatten(1, (patch_size, patch_size, 3))  # [width row column channel]
    return pixels.permute(0, 3, 1, 2)


def _special_id(folder: Path, role: str) -> int | None:
    """The id of the `bos`, `eos` or `pad` token in the tokenizer's files, if they say."""
    settings, vocabulary = folder / "tokenizer_config.json", folder / "tokenizer.json"
    if not (settings.is_file() and vocabulary.is_file()):
        return None
    token = read_json(settings).get(f"{role}_token")
    content = token.get("content") if isinstance(token, dict) else token
    for added in read_json(vocabulary).get("added_tokens") or []:
        if isinstance(added, dict) and content is not None and added.get("content") == content:
            return Options("tokenizer.json.added_tokens", added).integer("id", 0)
    return None
