"""Every exception that clipworks raises on purpose.

ClipworksError                     the root; the message is one line, for a person
├── InputError (ValueError)        what the caller gave is wrong
│   ├── InvalidImageError          a picture that cannot be read, or must not be
│   ├── InvalidTextError           a text or a token array that the model cannot take
│   └── SettingsError              an option, a setting or a combination of them
├── ModelError
│   ├── UnknownModelError          no such name in the catalogue, on disk or on the hub
│   ├── CheckpointError            weights that cannot be understood without guessing
│   ├── BundleError                a bundle that is incomplete, damaged or of another format
│   └── ModelMismatchError         embeddings of one model meet a query or a rerun of another
├── DownloadError                  the hub did not answer, refused, or sent something else
├── ServerError                    a model server is away, fails, or answers something else
├── FolderError                    an embedding folder or an index that is missing or damaged
└── MissingExtraError (ImportError)  an optional library is not installed
"""

from __future__ import annotations

from typing import Final, final


class ClipworksError(Exception):
    """The root of the tree. Its message says what was given, expected, and what to do."""


class InputError(ClipworksError, ValueError):
    """What the caller gave is wrong."""


@final
class InvalidImageError(InputError):
    """A picture that cannot be decoded, or that must not be (a decompression bomb).

    Attributes:
        source: the path or name of the picture, as the caller gave it.
        reason: why it was refused, without the path.
    """

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source: Final = source
        self.reason: Final = reason

    def __reduce__(self) -> tuple[type[InvalidImageError], tuple[str, str]]:
        """Rebuild from both arguments, so that the error crosses process borders."""
        return (InvalidImageError, (self.source, self.reason))


@final
class InvalidTextError(InputError):
    """A text or a token array that the model cannot take."""


@final
class SettingsError(InputError):
    """An option or a setting is wrong, or two of them do not go together."""


class ModelError(ClipworksError):
    """Something about a model."""


@final
class UnknownModelError(ModelError):
    """No such name in the catalogue, on disk or on the hub."""


@final
class CheckpointError(ModelError):
    """Weights that cannot be understood without guessing."""


@final
class BundleError(ModelError):
    """A bundle that is incomplete, damaged or of another format version."""


@final
class ModelMismatchError(ModelError):
    """Embeddings of one model meet a query, or a rerun, of another."""


@final
class DownloadError(ClipworksError):
    """The hub did not answer, refused, or sent something else than expected."""


@final
class ServerError(ClipworksError):
    """A model server is away, fails, or answers something else than expected."""


@final
class FolderError(ClipworksError):
    """An embedding folder or an index that is missing, damaged or in use."""


@final
class MissingExtraError(ClipworksError, ImportError):
    """An optional library is not installed; the message has the exact pip line."""
