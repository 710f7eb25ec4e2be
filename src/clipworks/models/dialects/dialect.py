"""The interface of a dialect, and what its side files tell about pictures and texts."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from clipworks.errors import CheckpointError
from clipworks.models.config import TextConfig
from clipworks.models.facts import Facts, Tensors
from clipworks.models.tensor_files import TensorFile

DialectName = Literal["openai", "open_clip", "huggingface", "clipworks"]

_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)


@dataclass(frozen=True, kw_only=True)
class TokenizerFacts:
    """What is known of the checkpoint's tokenizer.

    Attributes:
        files: the tokenizer's files beside the weights.
        name: of the tokenizer on the Hugging Face hub, where the checkpoint names one.
        options: for that tokenizer, as open_clip writes them.
        start_id: the token put before a text, where known.
        end_id: the token put after a text, where known.
        pad_id: what fills the context, where known.
    """

    files: tuple[Path, ...] = ()
    name: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    start_id: int | None = None
    end_id: int | None = None
    pad_id: int | None = None


class AbstractDialect(ABC):
    """One library's way of writing a CLIP down."""

    name: ClassVar[DialectName]
    config_file: ClassVar[str]
    """The side file that says what the tensors cannot."""

    @abstractmethod
    def recognises(self, file: TensorFile) -> bool:
        """Whether these are this dialect's tensors."""

    @abstractmethod
    def translate(self, tensors: Tensors) -> dict[str, Tensor]:
        """The tensors in clipworks's names and layouts.

        Raises:
            CheckpointError: a kind of model that clipworks has no towers for.
        """

    @abstractmethod
    def state_facts(self, file: TensorFile, config: Mapping[str, Any] | None) -> Facts:
        """What the dialect itself, and then its side file, say.

        Args:
            file: the weights.
            config: the side file's content, where the caller or the folder has it.

        Raises:
            CheckpointError: the side file asks for something that clipworks has not.
        """

    @abstractmethod
    def read_preprocessing(self, file: TensorFile) -> dict[str, Any] | None:
        """How pictures are prepared, in the dialect's own words, or None."""

    @abstractmethod
    def tokenizer_facts(
        self, file: TensorFile, config: Mapping[str, Any] | None, text_config: TextConfig
    ) -> TokenizerFacts:
        """What is known of the tokenizer.

        Args:
            file: the weights.
            config: the side file's content, where there is one.
            text_config: of the tower that the tokenizer feeds.
        """


def rename(tensors: Tensors, rules: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """Apply each rule, a regular expression and its replacement, to every name, in order.

    Raises:
        CheckpointError: two tensors end up with one name.
    """
    renamed: dict[str, Tensor] = {}
    for old_name, tensor in tensors.items():
        name = old_name
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        if name in renamed:
            raise CheckpointError(f"{old_name!r} and another tensor both mean {name!r}")
        renamed[name] = tensor
    return renamed


def require_bias(tensors: Tensors, says: str) -> None:
    """See that a model whose scores are sigmoids has the bias that goes into them.

    Args:
        tensors: of the file.
        says: what shows that the scores are sigmoids, for the message.

    Raises:
        CheckpointError: it has none; as a softmax its scores would be wrong without a sign of it.
    """
    if "logit_bias" not in tensors:
        raise CheckpointError(f"the weights have no logit_bias, which {says} asks for")


def join_rows(parts: Sequence[Tensor]) -> Tensor:
    """Parts of one matrix or vector, one below the other.

    Raises:
        RuntimeError: they do not fit each other, in shape or in type; PyTorch itself would turn
            whole numbers into others.
    """
    if len({part.dtype for part in parts}) > 1:
        raise RuntimeError(f"types {', '.join(str(part.dtype) for part in parts)}")
    return torch.cat(list(parts))


def tokenizer_files(folder: Path) -> tuple[Path, ...]:
    """The tokenizer's files in a folder."""
    return tuple(folder / name for name in _TOKENIZER_FILES if (folder / name).is_file())
