"""OpenAI's own archives, and Long-CLIP's, which are trained from them.

Their family fixes what their tensors leave open: QuickGELU, heads of 64 channels, a causal text
tower pooled at the highest id (Radford et al., arXiv 2103.00020, and the code published with it).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, final

from torch import Tensor

from clipworks.models.config import TextConfig
from clipworks.models.dialects.dialect import (
    AbstractDialect,
    DialectName,
    TokenizerFacts,
    tokenizer_files,
)
from clipworks.models.dialects.open_clip_dialect import (
    state_library,
    state_open_clip,
    translate_open_clip,
)
from clipworks.models.dialects.open_clip_resnet import FIRST_BLOCK, is_resnet, resnet_heads
from clipworks.models.facts import Facts, Tensors
from clipworks.models.long_positions import join_positions
from clipworks.models.tensor_files import TensorFile

_SIGNATURE = {"input_resolution", "context_length", "vocab_size"}
_STRETCHED = "positional_embedding_res"
_HEAD_CHANNELS = 64


@final
class OpenAiDialect(AbstractDialect):
    """Archives with the three numbers that OpenAI put in them, or Long-CLIP's second table."""

    name: ClassVar[DialectName] = "openai"
    config_file: ClassVar[str] = "open_clip_config.json"

    def recognises(self, file: TensorFile) -> bool:
        """By what only these archives have."""
        return file.tensors.keys() >= _SIGNATURE or _STRETCHED in file.tensors

    def translate(self, tensors: Tensors) -> dict[str, Tensor]:
        """As OpenCLIP's, once Long-CLIP's two tables of positions are one."""
        kept = {name: value for name, value in tensors.items() if name not in _SIGNATURE}
        if _STRETCHED in kept:
            trained = kept.pop(_STRETCHED)
            kept["positional_embedding"] = join_positions(kept["positional_embedding"], trained)
        return translate_open_clip(kept)

    def state_facts(self, file: TensorFile, config: Mapping[str, Any] | None) -> Facts:
        """The family's, then those of a configuration."""
        family: dict[str, Any] = {"activation": "quick_gelu", "norm_eps": 1e-5}
        if is_resnet(file.tensors):
            vision = {"heads": resnet_heads(file.tensors[FIRST_BLOCK].shape[0])}
        else:
            heads = _heads(file.tensors, "visual.ln_post.weight")
            vision = {**family, **heads, "pooling": "class_token"}
        text = {**family, **_heads(file.tensors, "ln_final.weight")}
        known = state_library(file.tensors) | Facts(
            vision, {**text, "causal": True, "pooling": "argmax", "pad_id": 0}
        )
        return known if config is None else known | state_open_clip(config)

    def read_preprocessing(self, file: TensorFile) -> dict[str, Any] | None:
        """None: the archives do not say."""
        return None

    def tokenizer_facts(
        self, file: TensorFile, config: Mapping[str, Any] | None, text_config: TextConfig
    ) -> TokenizerFacts:
        """CLIP's own tokenizer, whose two last ids are the start and the end."""
        return TokenizerFacts(
            files=tokenizer_files(file.folder),
            start_id=text_config.vocab_size - 2,
            end_id=text_config.vocab_size - 1,
            pad_id=0,
        )


def _heads(tensors: Tensors, norm: str) -> dict[str, int]:
    width = tensors[norm].numel() if norm in tensors else 0
    return {"heads": width // _HEAD_CHANNELS} if width and width % _HEAD_CHANNELS == 0 else {}
