"""clipworks's own: safetensors with the configuration in their metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar, final

from torch import Tensor

from clipworks.errors import CheckpointError, SettingsError
from clipworks.models.config import ClipConfig, TextConfig
from clipworks.models.dialects.dialect import (
    AbstractDialect,
    DialectName,
    TokenizerFacts,
    tokenizer_files,
)
from clipworks.models.facts import Facts, Tensors
from clipworks.models.tensor_files import TensorFile

_KEY = "clipworks"
_VERSION = 1


@final
class NativeDialect(AbstractDialect):
    """What `save_checkpoint` writes."""

    name: ClassVar[DialectName] = "clipworks"
    config_file: ClassVar[str] = "metadata, as save_checkpoint writes it"

    def recognises(self, file: TensorFile) -> bool:
        """By the metadata."""
        return _KEY in file.metadata

    def translate(self, tensors: Tensors) -> dict[str, Tensor]:
        """As they are."""
        return dict(tensors)

    def state_facts(self, file: TensorFile, config: Mapping[str, Any] | None) -> Facts:
        """All of them."""
        model = config_from_metadata(file.metadata)
        return Facts(asdict(model.vision), asdict(model.text))

    def read_preprocessing(self, file: TensorFile) -> dict[str, Any] | None:
        """None: a bundle keeps it beside the weights, in words of its own."""
        return None

    def tokenizer_facts(
        self, file: TensorFile, config: Mapping[str, Any] | None, text_config: TextConfig
    ) -> TokenizerFacts:
        """What the configuration has of it."""
        return TokenizerFacts(
            files=tokenizer_files(file.folder),
            end_id=text_config.end_id,
            pad_id=text_config.pad_id,
        )


def metadata_of(config: ClipConfig) -> dict[str, str]:
    """The metadata that says what the weights are."""
    return {_KEY: json.dumps({"version": _VERSION, "config": config.to_json()})}


def config_from_metadata(metadata: Mapping[str, str]) -> ClipConfig:
    """The inverse of `metadata_of`.

    Raises:
        CheckpointError: damaged, or of another version.
    """
    try:
        content = json.loads(metadata[_KEY])
        if content["version"] != _VERSION:
            raise CheckpointError(
                f"weights of format {content['version']}: this clipworks reads {_VERSION}"
            )
        return ClipConfig.from_json(content["config"])
    except (ValueError, KeyError, TypeError, AttributeError, SettingsError) as error:
        raise CheckpointError(f"the weights' metadata are damaged: {error}") from error
