"""What a `tokenizer.json` of any kind says of itself: its ids, and what it puts around a text."""

from __future__ import annotations

from typing import final

from tokenizers import Tokenizer, normalizers, processors

from clipworks.errors import CheckpointError

_PROBE = "a"  # a text that no vocabulary loses


@final
class TokenizerFile:
    """A `tokenizer.json`, opened.

    Args:
        content: the file's.
        name: what errors call it.

    Attributes:
        pad_id: what the file itself pads with, if it says so.

    Raises:
        CheckpointError: it cannot be read.
    """

    def __init__(self, content: bytes, name: str) -> None:
        self._name = name
        try:
            self._tokenizer = Tokenizer.from_buffer(content)
        except Exception as error:
            # the bindings raise a bare Exception for whatever is wrong with the JSON
            raise CheckpointError(f"{name} cannot be read: {error}") from error
        padding = self._tokenizer.padding
        self.pad_id: int | None = None if padding is None else int(padding["pad_id"])
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    @property
    def content(self) -> bytes:
        """The file as it is now, without its own truncation and padding."""
        return self._tokenizer.to_str().encode()

    def id_of(self, token: str) -> int | None:
        """The id of a token by its name."""
        return self._tokenizer.token_to_id(token)

    def num_words(self) -> int:
        """One more than the highest id that a text can give, special names aside."""
        added = self._tokenizer.get_added_tokens_decoder()
        ids = self._tokenizer.get_vocab(with_added_tokens=False).values()
        return 1 + max((index for index in ids if index not in added), default=-1)

    def frame(self) -> tuple[int | None, int | None]:
        """The ids that the file puts before and after a text.

        Raises:
            CheckpointError: it puts more than one token there.
        """
        bare = self._tokenizer.encode(_PROBE, add_special_tokens=False).ids
        framed = self._tokenizer.encode(_PROBE).ids
        for before, after in ((0, 0), (0, 1), (1, 0), (1, 1)):
            if framed[before : len(framed) - after] == bare:
                return (framed[0] if before else None), (framed[-1] if after else None)
        raise CheckpointError(f"{self._name} puts more than one token around a text: unsupported")

    def put_frame(self, start: str | None, end: str | None) -> None:
        """Put these tokens before and after a text from now on.

        Raises:
            CheckpointError: there is no such token.
        """
        around = [token for token in (start, end) if token is not None]
        template = [*([start] if start else []), "$A", *([end] if end else [])]
        ids = [(token, self.id_of(token)) for token in around]
        if missing := [token for token, index in ids if index is None]:
            raise CheckpointError(f"{self._name} has no token {missing[0]!r}")
        self._tokenizer.post_processor = processors.TemplateProcessing(template, None, ids)

    def put_lowercase(self) -> None:
        """Lower capitals before all else from now on."""
        steps = [normalizers.Lowercase()]
        if self._tokenizer.normalizer is not None:
            steps.append(self._tokenizer.normalizer)
        self._tokenizer.normalizer = normalizers.Sequence(steps)
