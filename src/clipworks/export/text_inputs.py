"""What a checkpoint's files say of texts: its tokenizer as one `tokenizer.json`, and the recipe.

transformers and open_clip prepare texts for one and the same vocabulary in different ways; a
checkpoint is read as the library that it was written for would read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clipworks.errors import CheckpointError
from clipworks.export.tokenizer_settings import TokenizerSettings, read_settings
from clipworks.inputs import (
    build_clip_tokenizer,
    clip_tokenizer_from_hf,
    clip_tokenizer_json,
    is_clip_tokenizer,
    special_ids,
)
from clipworks.inputs.clip_vocabulary import OPENAI_MERGES
from clipworks.inputs.sentencepiece_file import SentencePieceKind, tokenizer_from_sentencepiece
from clipworks.inputs.specs import Cleaning, TextSpec
from clipworks.inputs.tokenizer_file import TokenizerFile
from clipworks.models.checkpoints import Checkpoint
from clipworks.models.dialects.dialect import TokenizerFacts
from clipworks.models.tensor_files import refuse_pointer

_OPENAI_VOCAB_SIZE = 512 + OPENAI_MERGES + 2
_SENTENCEPIECE_NAMES = ("tokenizer.model", "spiece.model", "sentencepiece.bpe.model")
_CLEANINGS: Mapping[str, tuple[Cleaning, bool]] = {
    "lower": ("whitespace", True),
    "whitespace": ("whitespace", False),
    "canonicalize": ("canonicalize", True),
}
_SENTINELS = 100  # names at the end of T5's multilingual vocabulary; SigLIP has no rows for them
_OPEN_CLIP_OPTIONS = {"clean", "strip_sep_token"}


@dataclass(frozen=True)
class TextInputs:
    """How a model wants its texts.

    Attributes:
        tokenizer_json: the Rust tokenizer's own JSON.
        spec: what happens around it.
    """

    tokenizer_json: bytes
    spec: TextSpec


def text_inputs_of(checkpoint: Checkpoint, given: Path | None) -> TextInputs:
    """How the checkpoint wants its texts.

    Args:
        checkpoint: what was loaded.
        given: the caller's own tokenizer file, which goes first.

    Raises:
        CheckpointError: there is no tokenizer for this vocabulary, or it is another model's.
        MissingExtraError: it is a SentencePiece model, and sentencepiece is not installed.
    """
    files = {path.name: path for path in checkpoint.tokenizer.files}
    settings = read_settings(files, given)
    path = given or _best_file(files, settings, checkpoint)
    if path is None:
        return _clip_inputs(checkpoint, _clips_own(checkpoint, files))
    content = _read(path)
    if is_clip_tokenizer(content):
        return _clip_inputs(checkpoint, clip_tokenizer_from_hf(content))
    return _foreign_inputs(checkpoint, content, path, settings)


def _best_file(
    files: Mapping[str, Path], settings: TokenizerSettings, checkpoint: Checkpoint
) -> Path | None:
    """The file that the library would read: for SigLIP in transformers, SentencePiece's."""
    names = ("tokenizer.json", *_SENTENCEPIECE_NAMES)
    if _is_siglip(checkpoint, settings):
        names = ("spiece.model", *names)
    return next((files[name] for name in names if name in files), None)


def _is_siglip(checkpoint: Checkpoint, settings: TokenizerSettings) -> bool:
    """Whether transformers' SiglipTokenizer would read the texts."""
    return checkpoint.dialect == "huggingface" and settings.family == "Siglip"


def _read(path: Path) -> bytes:
    refuse_pointer(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error


def _clips_own(checkpoint: Checkpoint, files: Mapping[str, Path]) -> bytes:
    if {"vocab.json", "merges.txt"} <= files.keys():
        return build_clip_tokenizer(_read(files["merges.txt"]), _read(files["vocab.json"]))
    if checkpoint.tokenizer.name is not None:
        raise CheckpointError(
            f"the model reads with the tokenizer {checkpoint.tokenizer.name!r}: put its "
            "tokenizer.json and tokenizer_config.json beside the weights, or give --tokenizer"
        )
    vocab_size = checkpoint.config.text.vocab_size
    if vocab_size == _OPENAI_VOCAB_SIZE:
        return clip_tokenizer_json()
    raise CheckpointError(
        f"{checkpoint.weights.name} has a vocabulary of {vocab_size} tokens, not CLIP's "
        f"{_OPENAI_VOCAB_SIZE}: put its tokenizer.json beside it, or give --tokenizer"
    )


def _clip_inputs(checkpoint: Checkpoint, tokenizer_json: bytes) -> TextInputs:
    """A BPE of CLIP's kind, which open_clip's recipe goes with."""
    start_id, end_id = special_ids(tokenizer_json)
    facts, config = checkpoint.tokenizer, checkpoint.config.text
    _compare_ids(facts, start_id, end_id)
    pad_id = facts.pad_id if facts.pad_id is not None else config.pad_id
    cleaning, lowercase = _open_clip_cleaning(facts, usual="lower")
    spec = TextSpec(
        context_length=config.context_length,
        cleaning=cleaning,
        lowercase=lowercase,
        start_id=start_id,
        end_id=end_id,
        pad_id=0 if pad_id is None else pad_id,
    )
    return TextInputs(tokenizer_json, spec)


def _foreign_inputs(
    checkpoint: Checkpoint, content: bytes, path: Path, settings: TokenizerSettings
) -> TextInputs:
    """Any other tokenizer, used as its file is, with what its library does around it."""
    siglip = _is_siglip(checkpoint, settings)
    file = _open_tokenizer(content, path, settings, siglip=siglip)
    cleaning: Cleaning = "none"
    lowercase = False
    if checkpoint.dialect == "open_clip":
        cleaning, lowercase = _open_clip_cleaning(checkpoint.tokenizer, usual="whitespace")
    elif siglip:
        cleaning, lowercase = "siglip", settings.lowercase
    elif settings.lowercase:
        file.put_lowercase()
    start_id, end_id = file.frame()
    pad_id = _pad_id(checkpoint, file, settings, path)
    _check_vocabulary(checkpoint, file, path)
    _check_settings(checkpoint, settings, end_id)
    if checkpoint.tokenizer.options.get("strip_sep_token") is True:
        end_id = 0  # open_clip puts zeros over the token that BERT ends a text with
    spec = TextSpec(
        context_length=checkpoint.config.text.context_length,
        cleaning=cleaning,
        lowercase=lowercase,
        start_id=start_id,
        end_id=end_id,
        pad_id=pad_id,
    )
    return TextInputs(file.content, spec)


def _open_tokenizer(
    content: bytes, path: Path, settings: TokenizerSettings, *, siglip: bool
) -> TokenizerFile:
    if path.suffix != ".model":
        file = TokenizerFile(content, path.name)
        if settings.states_frame:
            file.put_frame(*settings.frame)
        return file
    kind: SentencePieceKind = "plain"
    if siglip:
        kind = "siglip"
    elif settings.family == "XLMRoberta":
        kind = "fairseq"
    file = TokenizerFile(tokenizer_from_sentencepiece(content, kind), path.name)
    file.put_frame(*settings.frame)
    return file


def _open_clip_cleaning(facts: TokenizerFacts, *, usual: str) -> tuple[Cleaning, bool]:
    """What open_clip does to a text first, and whether capitals are lowered.

    Args:
        facts: with the `tokenizer_kwargs` of the configuration.
        usual: what holds where they do not say.
    """
    options = facts.options
    if unknown := sorted(set(options) - _OPEN_CLIP_OPTIONS):
        raise CheckpointError(f"text_cfg.tokenizer_kwargs: {', '.join(unknown)} not supported yet")
    asked = options.get("clean", usual)
    if asked not in _CLEANINGS:
        raise CheckpointError(
            f"text_cfg.tokenizer_kwargs.clean = {asked!r}: expected {', '.join(_CLEANINGS)}"
        )
    return _CLEANINGS[asked]


def _pad_id(
    checkpoint: Checkpoint, file: TokenizerFile, settings: TokenizerSettings, path: Path
) -> int:
    stated = checkpoint.tokenizer.pad_id
    if settings.family == "" and checkpoint.dialect == "huggingface" and stated is not None:
        return stated
    found = file.id_of(settings.pad_token)
    if found is None or settings.family == "":
        raise CheckpointError(
            f"{path.name} does not say which token fills up a short text: put its "
            "tokenizer_config.json beside it"
        )
    return found


def _check_vocabulary(checkpoint: Checkpoint, file: TokenizerFile, path: Path) -> None:
    size, vocab_size = file.num_words(), checkpoint.config.text.vocab_size
    if size > vocab_size + _SENTINELS:
        raise CheckpointError(
            f"{path.name} has {size} tokens, but the model's vocabulary {vocab_size}: "
            "it belongs to another model"
        )


def _check_settings(
    checkpoint: Checkpoint, settings: TokenizerSettings, end_id: int | None
) -> None:
    config = checkpoint.config.text
    if settings.pads_left:
        raise CheckpointError("the tokenizer pads on the left, which is not supported yet")
    if config.pooling == "end_token" and config.end_id != end_id:
        raise CheckpointError(
            f"the model's end token is {config.end_id}, but the tokenizer's is {end_id}: "
            "it belongs to another model"
        )
    hugging_face = checkpoint.dialect == "huggingface"
    length = settings.max_length
    if hugging_face and config.pooling == "last" and length not in (None, config.context_length):
        raise CheckpointError(
            f"the tokenizer pads to {length} tokens, but the model reads the last of "
            f"{config.context_length}: one of the two files belongs to another model"
        )


def _compare_ids(facts: TokenizerFacts, start_id: int, end_id: int) -> None:
    for name, stated, found in (
        ("start", facts.start_id, start_id),
        ("end", facts.end_id, end_id),
    ):
        if stated is not None and stated != found:
            raise CheckpointError(
                f"the model's {name} token is {stated}, but the tokenizer's is {found}: "
                "it belongs to another model"
            )
