"""A SentencePiece model file to a `tokenizer.json` that cuts texts as SentencePiece does.

SentencePiece works on a whole sentence, blanks written as U+2581, and so does what is made here:
nothing is split before the model sees it. Kudo and Richardson, arXiv 1808.06226.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers

from clipworks.errors import CheckpointError
from clipworks.extras import require
from clipworks.inputs.text_cleaning import BLANK

SentencePieceKind = Literal["plain", "siglip", "fairseq"]

# Names in sentencepiece_model.proto, which that library's generated code has as bare numbers.
_UNIGRAM, _BPE = 1, 2
_UNKNOWN, _CONTROL, _USER_DEFINED = 2, 3, 4

_FAIRSEQ_FIRST = ("<s>", "<pad>", "</s>", "<unk>")
_FAIRSEQ_UNKNOWN = 3
_FAIRSEQ_LAST = "<mask>"


@dataclass(frozen=True)
class _Vocabulary:
    """Pieces and their scores in the order of their ids, and which of them stand apart."""

    pieces: list[tuple[str, float]]
    unknown_id: int
    special: list[str]
    user_defined: list[str]


def tokenizer_from_sentencepiece(content: bytes, kind: SentencePieceKind = "plain") -> bytes:
    """Make a `tokenizer.json` of a `spiece.model`, `tokenizer.model` or `sentencepiece.bpe.model`.

    Args:
        content: the file's.
        kind: `plain` does what the file says. `siglip` is for texts of the cleaning `siglip`, which
            have their first blank already; two names are special then, those of the end and of what
            is unknown. `fairseq` moves the ids as XLM-RoBERTa's are moved.

    Raises:
        CheckpointError: the file is damaged, or asks for what the Rust tokenizer has not.
        MissingExtraError: sentencepiece is not installed.
    """
    proto = _parse(content)
    vocabulary = _read_fairseq(proto) if kind == "fairseq" else _read_vocabulary(proto)
    special = vocabulary.special
    if kind == "siglip":
        special = [proto.trainer_spec.eos_piece, proto.trainer_spec.unk_piece]
    tokenizer = Tokenizer(_build_model(proto, vocabulary))
    tokenizer.normalizer = _build_normalizer(proto.normalizer_spec, kind)
    tokenizer.decoder = _build_decoder(proto)
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in special])
    tokenizer.add_tokens([AddedToken(name, normalized=False) for name in vocabulary.user_defined])
    return tokenizer.to_str().encode()


def _parse(content: bytes) -> Any:  # noqa: ANN401 - a ModelProto of generated code
    require("sentencepiece", "reading a SentencePiece model")
    from google.protobuf.message import DecodeError

    messages = require("sentencepiece.sentencepiece_model_pb2", "reading a SentencePiece model")
    try:
        proto = messages.ModelProto.FromString(content)
    except DecodeError as error:
        raise CheckpointError(f"the SentencePiece model is damaged: {error}") from error
    if not proto.pieces:
        raise CheckpointError("the SentencePiece model is damaged: it has no pieces")
    if proto.trainer_spec.model_type not in (_UNIGRAM, _BPE):
        raise CheckpointError("a SentencePiece model of words or characters is not supported")
    if proto.trainer_spec.treat_whitespace_as_suffix:
        raise CheckpointError("a SentencePiece model with blanks behind words is not supported")
    return proto


def _read_vocabulary(proto: Any) -> _Vocabulary:  # noqa: ANN401 - a ModelProto
    return _Vocabulary(
        pieces=[(piece.piece, piece.score) for piece in proto.pieces],
        unknown_id=proto.trainer_spec.unk_id,
        special=[piece.piece for piece in proto.pieces if piece.type in (_UNKNOWN, _CONTROL)],
        user_defined=[piece.piece for piece in proto.pieces if piece.type == _USER_DEFINED],
    )


def _read_fairseq(proto: Any) -> _Vocabulary:  # noqa: ANN401 - a ModelProto
    """Four names go first, the file's own first three (unknown, start, end) go, a mask is last."""
    own = _read_vocabulary(proto)
    first = [(piece, 0.0) for piece in _FAIRSEQ_FIRST]
    return _Vocabulary(
        pieces=[*first, *own.pieces[3:], (_FAIRSEQ_LAST, 0.0)],
        unknown_id=_FAIRSEQ_UNKNOWN,
        special=[*_FAIRSEQ_FIRST, _FAIRSEQ_LAST],
        user_defined=own.user_defined,
    )


def _build_model(proto: Any, vocabulary: _Vocabulary) -> models.Unigram | models.BPE:  # noqa: ANN401
    byte_fallback = proto.trainer_spec.byte_fallback
    if proto.trainer_spec.model_type == _UNIGRAM:
        return models.Unigram(vocabulary.pieces, vocabulary.unknown_id, byte_fallback)
    ids = {piece: index for index, (piece, _) in enumerate(vocabulary.pieces)}
    return models.BPE(
        ids,
        _merges(vocabulary.pieces),
        unk_token=vocabulary.pieces[vocabulary.unknown_id][0],
        fuse_unk=True,
        byte_fallback=byte_fallback,
    )


def _merges(pieces: Sequence[tuple[str, float]]) -> list[tuple[str, str]]:
    """Every way to join two pieces to a third, the joint piece with the highest score first.

    SentencePiece joins whatever neighbours make the best piece; a list of pairs has to name them.
    """
    ids = {piece: index for index, (piece, _) in enumerate(pieces)}
    ways = [
        (-score, ids[piece], (piece[:cut], piece[cut:]))
        for piece, score in pieces
        for cut in range(1, len(piece))
        if piece[:cut] in ids and piece[cut:] in ids
    ]
    return [pair for _, _, pair in sorted(ways, key=lambda way: way[:2])]


def _build_normalizer(spec: Any, kind: SentencePieceKind) -> normalizers.Normalizer:  # noqa: ANN401 - a NormalizerSpec
    steps: list[normalizers.Normalizer] = []
    if spec.precompiled_charsmap:
        steps.append(normalizers.Precompiled(spec.precompiled_charsmap))
    if spec.remove_extra_whitespaces:
        ends = f"[ {BLANK}]+$" if kind == "siglip" else "^ +| +$"
        steps += [normalizers.Replace(Regex(ends), ""), normalizers.Replace(Regex(" {2,}"), " ")]
    if spec.escape_whitespaces:
        steps.append(normalizers.Replace(" ", BLANK))
    if spec.add_dummy_prefix and kind != "siglip":
        steps.append(normalizers.Prepend(BLANK))
    return normalizers.Sequence(steps)


def _build_decoder(proto: Any) -> decoders.Decoder:  # noqa: ANN401 - a ModelProto
    steps: list[decoders.Decoder] = [decoders.Replace(BLANK, " ")]
    if proto.trainer_spec.byte_fallback:
        steps.append(decoders.ByteFallback())
    steps.append(decoders.Fuse())
    if proto.normalizer_spec.add_dummy_prefix:
        steps.append(decoders.Strip(" ", 1, 0))
    return decoders.Sequence(steps)
