"""What `tokenizer_config.json` says beside a tokenizer, with the defaults of its class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipworks.models.dialects.json_options import Options
from clipworks.models.tensor_files import read_json

_FILE = "tokenizer_config.json"
_NO_LIMIT = 1_000_000  # transformers writes 10^30 where a tokenizer has no longest text

# Class (without "Tokenizer" or "TokenizerFast") to the names of its tokens and to its habits.
_START_TOKENS = {"Gemma": "<bos>", "Siglip2": "<bos>", "XLMRoberta": "<s>"}
_END_TOKENS = {"Gemma": "<eos>", "Siglip2": "<eos>"}
_PAD_TOKENS = {"Siglip": "</s>"}
_LOWERED = {"Siglip": True, "Siglip2": True}
_STARTS_TEXTS = {"XLMRoberta"}
_BY_FILE = {
    "spiece.model": "Siglip",
    "sentencepiece.bpe.model": "XLMRoberta",
    "tokenizer.model": "Gemma",
}


@dataclass(frozen=True)
class TokenizerSettings:
    """A tokenizer's own settings.

    Attributes:
        family: its class in transformers, without "Tokenizer": "Siglip", "Gemma", or empty.
        values: the file's content.
    """

    family: str
    values: Mapping[str, Any]

    @property
    def lowercase(self) -> bool:
        """Whether capitals are lowered.

        SigLIP 2's published files ask for it beside Gemma's class, which does not listen; SigLIP
        2's own class does.
        """
        stated = self.values.get("do_lower_case")
        if self.family == "Siglip2" or not isinstance(stated, bool):
            return _LOWERED.get(self.family, False)
        return stated and self.family in ("Siglip", "Gemma")

    @property
    def states_frame(self) -> bool:
        """Whether the file itself says what is put around a text."""
        return "add_bos_token" in self.values or "add_eos_token" in self.values

    @property
    def frame(self) -> tuple[str | None, str | None]:
        """The tokens put before and after a text, by name."""
        start = self._token("bos", _START_TOKENS.get(self.family, "<s>"))
        end = self._token("eos", _END_TOKENS.get(self.family, "</s>"))
        if self.states_frame:
            return (
                start if self._options.flag("add_bos_token") else None,
                end if self._options.flag("add_eos_token") else None,
            )
        return (start if self.family in _STARTS_TEXTS else None), end

    @property
    def pad_token(self) -> str:
        """The token that fills the context, by name."""
        return self._token("pad", _PAD_TOKENS.get(self.family, "<pad>"))

    @property
    def pads_left(self) -> bool:
        """Whether padding comes first."""
        return self.values.get("padding_side") == "left"

    @property
    def max_length(self) -> int | None:
        """The tokens that a text is padded to, where the file says."""
        length = self.values.get("model_max_length")
        return length if isinstance(length, int) and length < _NO_LIMIT else None

    @property
    def _options(self) -> Options:
        return Options(_FILE, self.values)

    def _token(self, role: str, usual: str) -> str:
        stated = self.values.get(f"{role}_token")
        if isinstance(stated, Mapping):
            return Options(f"{_FILE}.{role}_token", stated).word("content", usual)
        return self._options.word(f"{role}_token", usual)


def read_settings(files: Mapping[str, Path], given: Path | None) -> TokenizerSettings:
    """Read the settings that go with a tokenizer.

    Args:
        files: the tokenizer's files beside the weights, by name.
        given: a tokenizer file of the caller's; the settings beside it go first.

    Raises:
        CheckpointError: the file is damaged.
    """
    path = files.get(_FILE)
    if given is not None and (given.parent / _FILE).is_file():
        path = given.parent / _FILE
    values = read_json(path) if path else {}
    name = Options(_FILE, values).word("tokenizer_class", "")
    family = name.removesuffix("Fast").removesuffix("Tokenizer")
    if not family:  # transformers then goes by the model's kind, which has files of one name
        names = [given.name] if given else [*files]
        family = next((_BY_FILE[name] for name in names if name in _BY_FILE), "")
    return TokenizerSettings(family, values)
