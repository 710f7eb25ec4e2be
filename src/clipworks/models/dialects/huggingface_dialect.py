"""Hugging Face transformers: `CLIPModel` with its `config.json`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from clipworks.errors import CheckpointError
from clipworks.models.config import TextConfig
from clipworks.models.dialects.dialect import (
    AbstractDialect,
    DialectName,
    TokenizerFacts,
    rename,
    tokenizer_files,
)
from clipworks.models.dialects.json_options import Options
from clipworks.models.facts import Facts, Tensors
from clipworks.models.tensor_files import TensorFile, read_json

_RULES = (
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
_ACTIVATIONS = {
    "gelu": "gelu",
    "quick_gelu": "quick_gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
}
_LEGACY_END_ID = 2  # written into old files by mistake; transformers then pools at the highest id


@final
class HuggingFaceDialect(AbstractDialect):
    """The `clip` family of transformers."""

    name: ClassVar[DialectName] = "huggingface"
    config_file: ClassVar[str] = "config.json"

    def recognises(self, file: TensorFile) -> bool:
        """By the towers' prefixes."""
        return any(name.startswith(("vision_model.", "text_model.")) for name in file.tensors)

    def translate(self, tensors: Tensors) -> dict[str, Tensor]:
        """Rename, and join queries, keys and values."""
        kept = {name: value for name, value in tensors.items() if not name.endswith(_COMPUTED)}
        return _join_qkv(rename(kept, _RULES))

    def state_facts(self, file: TensorFile, config: Mapping[str, Any] | None) -> Facts:
        """Nothing without a configuration."""
        if config is None:
            return Facts()
        model_type = Options(self.config_file, config).word("model_type", "clip")
        if model_type != "clip":
            raise CheckpointError(
                f"a Hugging Face model of type {model_type!r} is not supported yet"
            )
        return Facts(_state_vision(_part(config, "vision")), _state_text(_part(config, "text")))

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
        start_id = None
        if config is not None and text_config.pooling == "end_token":
            start_id = _part(config, "text").integer("bos_token_id", 49406)
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
                joined[name.replace(".q.", ".qkv.")] = torch.cat(parts)  # [3xwidth ...]
            except (KeyError, RuntimeError) as error:
                raise CheckpointError(f"{name} does not fit its k and v: {error}") from error
    return joined


def _part(config: Mapping[str, Any], tower: str) -> Options:
    """A tower's part of a config.json.

    Where an old file has it twice, transformers takes the second.
    """
    whole = Options("config.json", config)
    twice = f"{tower}_config_dict"
    return whole.part(twice if whole.has(twice) else f"{tower}_config")


# The defaults below are what transformers takes for a field that a config.json leaves out.


def _state_vision(vision: Options) -> dict[str, Any]:
    if vision.integer("num_channels", 3) != 3:
        raise CheckpointError("vision_config.num_channels: only pictures of 3 are supported")
    return {
        "image_size": vision.square("image_size", 224),
        "patch_size": vision.square("patch_size", 32),
        "width": vision.integer("hidden_size", 768),
        "heads": vision.integer("num_attention_heads", 12),
        "mlp_width": vision.integer("intermediate_size", 3072),
        "pre_norm": True,
        "pooling": "class_token",
        **_state_blocks(vision),
    }


def _state_text(text: Options) -> dict[str, Any]:
    end_id = text.integer("eos_token_id", 49407)
    legacy = end_id == _LEGACY_END_ID
    return {
        "context_length": text.integer("max_position_embeddings", 77),
        "vocab_size": text.integer("vocab_size", 49408),
        "width": text.integer("hidden_size", 512),
        "heads": text.integer("num_attention_heads", 8),
        "mlp_width": text.integer("intermediate_size", 2048),
        "causal": True,
        "pooling": "argmax" if legacy else "end_token",
        "end_id": None if legacy else end_id,
        "pad_id": None if legacy else text.integer("pad_token_id", 1),
        "projection": "linear",
        **_state_blocks(text),
    }


def _state_blocks(options: Options) -> dict[str, Any]:
    return {
        "layers": options.integer("num_hidden_layers", 12),
        "activation": options.choice("hidden_act", "quick_gelu", _ACTIVATIONS),
        "norm_eps": options.positive("layer_norm_eps", 1e-5),
        "layer_scale": False,
    }


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
