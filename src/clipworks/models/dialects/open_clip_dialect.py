"""OpenCLIP: tensors named as OpenAI's, and an `open_clip_config.json` beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, final

from torch import Tensor

from clipworks.errors import CheckpointError
from clipworks.models.config import Activation, BlockExtra, TextConfig
from clipworks.models.dialects.dialect import (
    AbstractDialect,
    DialectName,
    TokenizerFacts,
    rename,
    require_bias,
    tokenizer_files,
)
from clipworks.models.dialects.json_options import Options
from clipworks.models.dialects.open_clip_pools import translate_pools
from clipworks.models.dialects.open_clip_resnet import is_resnet, resnet_heads, translate_resnet
from clipworks.models.dialects.timm_trunk import state_trunk, translate_trunk
from clipworks.models.facts import Facts, Tensors
from clipworks.models.left_out import CAPTION_DECODER
from clipworks.models.tensor_files import TensorFile, read_json

_RULES = (
    (r"^text_decoder\.", CAPTION_DECODER),
    # The plain class keeps the text tower at its root.
    (r"^(?!visual\.|text\.|logit_|caption_decoder\.)", "text."),
    (r"^visual\.conv1\.", "visual.patch_embed."),
    (r"^visual\.class_embedding$", "visual.class_token"),
    (r"^visual\.ln_post\.", "visual.ln_final."),
    (r"^visual\.proj$", "visual.projection.weight"),
    (r"^text\.token_embedding\.", "text.token_embed."),
    (r"^text\.cls_emb$", "text.class_token"),
    (r"^text\.text_projection$", "text.projection.weight"),
    (r"^text\.text_projection\.", "text.projection."),
    (r"\.positional_embedding$", ".positions"),
    (r"\.transformer\.resblocks\.", ".blocks."),
    (r"\.ln_([12])\.", r".ln\1."),
    (r"\.attn\.in_proj_(weight|bias)$", r".attn.qkv.\1"),
    (r"\.attn\.out_proj\.", ".attn.out."),
    (r"\.attn\.ln_([qk])\.", r".attn.norm_\1."),
    (r"\.attn\.ln_inner\.", ".attn.norm_z."),
    (r"\.ln_attn\.", ".attn_norm."),
    (r"\.mlp\.ln\.", ".mlp.norm."),
    (r"\.mlp\.c_fc\.", ".mlp.up."),
    (r"\.mlp\.c_proj\.", ".mlp.down."),
    (r"\.ls_1\.gamma$", ".attn_scale.gamma"),
    (r"\.ls_2\.gamma$", ".mlp_scale.gamma"),
)
_COMPUTED = {"attn_mask", "text.attn_mask"}
_FOREIGN_TEXT = "text.transformer.embeddings."

_EXTRAS: dict[str, BlockExtra] = {
    "qk_norm": "qk_norm",
    "scale_attn": "attn_norm",
    "scale_attn_inner": "inner_norm",
    "scale_fc": "mlp_norm",
    "scale_heads": "head_scale",
}
_TOP_KNOWN = {
    "embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "custom_text", "init_logit_scale",
    "init_logit_bias", "nonscalar_logit_scale", "cast_dtype", "output_dict",
    "multimodal_cfg",  # of the caption decoder, which is left out
}  # fmt: skip
_VISION_KNOWN = {
    "layers", "width", "head_width", "mlp_ratio", "patch_size", "image_size", "ls_init_value",
    "no_ln_pre", "final_ln_after_pool", "pool_type", "act_kwargs", "norm_kwargs",
    "pos_embed_type",
    "attentional_pool", "attn_pooler_queries", "attn_pooler_heads",
    "patch_dropout", "output_tokens", *_EXTRAS,
    "timm_model_name", "timm_model_pretrained", "timm_pool", "timm_proj", "timm_proj_bias",
    "timm_drop", "timm_drop_path",
}  # fmt: skip
_TEXT_KNOWN = {
    "context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio", "ls_init_value",
    "pad_id", "eos_id", "no_causal_mask", "pool_type", "proj_bias", "proj_type", "act_kwargs",
    "norm_kwargs", "tokenizer_mode", "tokenizer_kwargs", "output_tokens", "embed_cls", *_EXTRAS,
    "final_ln_after_pool",  # which the library leaves aside
    "hf_tokenizer_name", "hf_model_pretrained", "hf_proj_type", "hf_pooler_type",
}  # fmt: skip
_UNREMARKABLE = (None, False, "default")
_POSITIONS = {"learnable": "table", "sin_cos_2d": "table"}  # either way, it is in the file
_VISION_POOLING = {"tok": "class_token", "avg": "patch_mean"}
_ATTENTION_POOLING = {
    "first": "attention",
    "parallel": "attention",
    "cascade": "attention_cascade",
}
_TEXT_POOLING = {"argmax": "argmax", "eos": "end_token", "last": "last", "first": "first"}


@final
class OpenClipDialect(AbstractDialect):
    """The native towers of open_clip, in its plain class or the one with a separate text tower."""

    name: ClassVar[DialectName] = "open_clip"
    config_file: ClassVar[str] = "open_clip_config.json"

    def recognises(self, file: TensorFile) -> bool:
        """By the image tower, whichever kind it is."""
        return any(name.startswith(("visual.conv1.", "visual.trunk.")) for name in file.tensors)

    def translate(self, tensors: Tensors) -> dict[str, Tensor]:
        """Rename, and turn the projections round: they multiply from the right."""
        return translate_open_clip(tensors)

    def state_facts(self, file: TensorFile, config: Mapping[str, Any] | None) -> Facts:
        """The library's; GELU and QuickGELU have the same tensors, and need a configuration."""
        known = state_library(file.tensors)
        if config is None:
            return known
        if _model_options(config).has("init_logit_bias"):
            require_bias(file.tensors, "the configuration's init_logit_bias")
        return known | state_open_clip(config)

    def read_preprocessing(self, file: TensorFile) -> dict[str, Any] | None:
        """`preprocess_cfg` of the configuration."""
        path = file.folder / self.config_file
        options = Options(self.config_file, read_json(path) if path.is_file() else {})
        return dict(options.part("preprocess_cfg").values) or None

    def tokenizer_facts(
        self, file: TensorFile, config: Mapping[str, Any] | None, text_config: TextConfig
    ) -> TokenizerFacts:
        """CLIP's own tokenizer, unless the configuration names another."""
        text = _model_options(config or {}).part("text_cfg")
        name = text.word("hf_tokenizer_name", "") or None
        own = config is not None and name is None
        return TokenizerFacts(
            files=tokenizer_files(file.folder),
            name=name,
            options=text.part("tokenizer_kwargs").values,
            start_id=text_config.vocab_size - 2 if own else None,
            end_id=text_config.vocab_size - 1 if own else text_config.end_id,
            pad_id=text_config.pad_id,
        )


def translate_open_clip(tensors: Tensors) -> dict[str, Tensor]:
    """Tensors of OpenCLIP's names in ours.

    Raises:
        CheckpointError: a kind of model that clipworks has no towers for.
    """
    if any(name.startswith(_FOREIGN_TEXT) for name in tensors):
        raise CheckpointError(
            f"a text tower from transformers ({_FOREIGN_TEXT}*) is not supported yet"
        )
    kept = {name: tensor for name, tensor in tensors.items() if name not in _COMPUTED}
    images = translate_resnet(kept) if is_resnet(kept) else translate_pools(translate_trunk(kept))
    state = rename(images, _RULES)
    turned = {"visual.projection.weight"} if "visual.proj" in tensors else set()
    if tensors.keys() & {"text_projection", "text.text_projection"}:
        turned.add("text.projection.weight")
    for name in turned & state.keys():
        if state[name].ndim == 2:
            state[name] = state[name].T  # [width dim] to [dim width]
    for name in state:
        if name.endswith(".head_scale"):
            state[name] = state[name].flatten()  # [head 1 1] to [head]
    return state


def state_library(tensors: Tensors) -> Facts:
    """What no configuration of open_clip says, because it is always so."""
    if is_resnet(tensors):
        return Facts()
    return Facts({"position_resize": "bicubic_antialias", "naflex": False})


def state_open_clip(config: Mapping[str, Any]) -> Facts:
    """What a configuration of open_clip says, with that library's defaults.

    Args:
        config: an `open_clip_config.json`, or its `model_cfg`.

    Raises:
        CheckpointError: an option that clipworks has not, by name.
    """
    options = _model_options(config)
    vision, text = options.part("vision_cfg"), options.part("text_cfg")
    _refuse_unknown(options, _TOP_KNOWN)
    _refuse_unknown(vision, _VISION_KNOWN)
    _refuse_unknown(text, _TEXT_KNOWN)
    quick = options.flag("quick_gelu")
    is_list = isinstance(vision.values.get("layers"), list | tuple)
    stated = _state_resnet(vision) if is_list else _state_vision(vision, quick=quick)
    return Facts(stated, _state_text(text, quick=quick))


def _model_options(config: Mapping[str, Any]) -> Options:
    whole = Options("open_clip's configuration", config)
    return whole.part("model_cfg") if whole.has("model_cfg") else Options("model_cfg", config)


def _refuse_unknown(options: Options, known: set[str]) -> None:
    for name, value in options.values.items():
        if name not in known and value not in _UNREMARKABLE:
            raise CheckpointError(f"{options.name}.{name} = {value!r} is not supported yet")


def _state_vision(vision: Options, *, quick: bool) -> dict[str, Any]:
    if vision.has("timm_model_name"):
        return state_trunk(vision)
    vision.choice("pos_embed_type", "learnable", _POSITIONS)
    width = vision.integer("width", 768)
    return {
        "image_size": vision.square("image_size", 224),
        "patch_size": vision.square("patch_size", 16),
        "width": width,
        "layers": vision.integer("layers", 12),
        "heads": width // max(vision.integer("head_width", 64), 1),
        "mlp_width": int(width * vision.positive("mlp_ratio", 4.0)),
        "activation": _activation(vision, quick=quick),
        "norm_eps": _norm_eps(vision),
        "pre_norm": not vision.flag("no_ln_pre"),
        "layer_scale": vision.has("ls_init_value"),
        "projection": "linear",
        "block_extras": _block_extras(vision),
        **_state_pooling(vision),
    }


def _state_resnet(vision: Options) -> dict[str, Any]:
    width = vision.integer("width", 768)
    return {
        "image_size": vision.square("image_size", 224),
        "width": width,
        "layers": vision.integers("layers"),
        "heads": resnet_heads(width, vision.integer("head_width", 64)),
    }


def _state_pooling(vision: Options) -> dict[str, Any]:
    """How the tokens become one vector; a pool of queries ignores where the norm is asked for."""
    pooling = vision.choice("pool_type", "tok", _VISION_POOLING)
    asked = vision.values.get("attentional_pool")
    if not asked:
        return {"pooling": pooling, "norm_pooled": vision.flag("final_ln_after_pool")}
    if asked is True and pooling != "class_token":
        raise CheckpointError(f"{vision.name}.pool_type: attentional_pool goes with 'tok' only")
    kind = "first" if asked is True else vision.word("attentional_pool", "")
    if kind not in _ATTENTION_POOLING:
        raise CheckpointError(
            f"{vision.name}.attentional_pool = {asked!r}: expected true, 'parallel' or 'cascade'"
        )
    # Of two parallel pools the second, with its one query, is for the features.
    queries = 1 if kind == "parallel" else vision.integer("attn_pooler_queries", 256)
    return {
        "pooling": _ATTENTION_POOLING[kind],
        "norm_pooled": kind == "first",
        "pool_queries": queries,
        "pool_heads": vision.integer("attn_pooler_heads", 8),
    }


def _state_text(text: Options, *, quick: bool) -> dict[str, Any]:
    width = text.integer("width", 512)
    pooling = text.choice("pool_type", "argmax", _TEXT_POOLING)
    if text.flag("embed_cls"):
        pooling = "class_token"
    projection = "linear_bias" if text.flag("proj_bias") else "linear"
    return {
        "context_length": text.integer("context_length", 77),
        "vocab_size": text.integer("vocab_size", 49408),
        "width": width,
        "layers": text.integer("layers", 12),
        "heads": text.integer("heads", 8),
        "mlp_width": int(width * text.positive("mlp_ratio", 4.0)),
        "activation": _activation(text, quick=quick),
        "norm_eps": _norm_eps(text),
        "causal": not text.flag("no_causal_mask"),
        "pooling": pooling,
        "end_id": text.integer("eos_id", 2) if pooling == "end_token" else None,
        "pad_id": text.integer("pad_id", 0),
        "projection": "none" if text.word("proj_type", "linear") == "none" else projection,
        "layer_scale": text.has("ls_init_value"),
        "block_extras": _block_extras(text),
    }


def _block_extras(options: Options) -> tuple[BlockExtra, ...]:
    return tuple(sorted(extra for name, extra in _EXTRAS.items() if options.flag(name)))


def _activation(options: Options, *, quick: bool) -> Activation:
    asked = options.part("act_kwargs")
    _refuse_unknown(asked, set() if quick else {"approximate"})
    if quick:
        return "quick_gelu"
    return "gelu_tanh" if asked.word("approximate", "none") == "tanh" else "gelu"


def _norm_eps(options: Options) -> float:
    asked = options.part("norm_kwargs")
    _refuse_unknown(asked, {"eps"})
    return asked.positive("eps", 1e-5)
