"""The hub's errors in our words: one line with what was wanted, what happened, what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.errors import (
    EntryNotFoundError,
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
)

from clipworks.errors import ClipworksError, DownloadError, UnknownModelError

TransportError: type[Exception] = HfHubHTTPError.__mro__[1]
"""The root of what can go wrong on the way: httpx's or httpx2's, by huggingface_hub's version."""

_LOG_IN = "log in (`hf auth login`)"


def hub_endpoint() -> str:
    """Where the hub is: `CLIPWORKS_HUB_MIRROR`, or `HF_ENDPOINT`, or huggingface.co."""
    given = os.environ.get("CLIPWORKS_HUB_MIRROR") or os.environ.get("HF_ENDPOINT")
    return (given or constants.ENDPOINT).rstrip("/")


@contextmanager
def told_in_one_line(repository: str, filename: str = "") -> Iterator[None]:
    """Turn the errors of `huggingface_hub` into ours.

    Args:
        repository: that was asked.
        filename: in it, if one was asked for.
    """
    wanted = f"{repository}/{filename}" if filename else repository
    try:
        yield
    except ClipworksError:
        raise
    except (HfHubHTTPError, EntryNotFoundError) as error:
        raise _explain_answer(error, repository, wanted) from error
    except (TransportError, OfflineModeIsEnabled) as error:
        raise _explain_silence(error, wanted) from error
    except HFValidationError as error:
        raise UnknownModelError(f"{repository!r} cannot be a repository of the hub") from error
    except FileMetadataError as error:
        raise DownloadError(
            f"{hub_endpoint()} answered for {wanted}, but not as the hub does: check "
            "CLIPWORKS_HUB_MIRROR or HF_ENDPOINT, and the proxy"
        ) from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise no_room(wanted, Path(constants.HF_HUB_CACHE)) from error
        raise DownloadError(
            f"{wanted} could not be downloaded: {_first_line(error)}: run the "
            "same command again, it goes on where it stopped"
        ) from error


def no_room(wanted: str, cache: Path, *, needed_bytes: int = 0) -> DownloadError:
    """The error for a full disk.

    Args:
        wanted: what was to come.
        cache: where it was to be kept.
        needed_bytes: that are still to come, if known.
    """
    needs = f" needs {needed_bytes / 1e6:,.0f} MB more, but" if needed_bytes else ":"
    return DownloadError(
        f"{wanted}{needs} there is no room for it in {cache}: delete what is not needed there, "
        "or set HF_HOME to a folder on another disk; what has come is kept"
    )


def _explain_answer(error: Exception, repository: str, wanted: str) -> ClipworksError:
    """The hub answered, or the cache did."""
    if isinstance(error, LocalEntryNotFoundError):
        return _explain_silence(error.__cause__ or error, wanted)
    if isinstance(error, GatedRepoError):
        return DownloadError(
            f"{repository} is gated: accept its terms at {hub_endpoint()}/{repository}, then "
            f"{_LOG_IN} or set HF_TOKEN"
        )
    if isinstance(error, RepositoryNotFoundError):
        return UnknownModelError(
            f"{hub_endpoint()} has no repository {repository}, or keeps it private: check the "
            f"name, or {_LOG_IN}"
        )
    if isinstance(error, RemoteEntryNotFoundError):
        missing = wanted.removeprefix(f"{repository}/")
        return DownloadError(f"{repository} on {hub_endpoint()} has no file {missing}")
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else "?"
    advice = (
        "log in (`hf auth login`) or set HF_TOKEN" if status in (401, 403) else "try again later"
    )
    return DownloadError(f"{hub_endpoint()} refused {wanted} with status {status}: {advice}")


def _explain_silence(error: BaseException, wanted: str) -> DownloadError:
    """Nobody answered, or nobody may be asked."""
    if isinstance(error, OfflineModeIsEnabled):
        return DownloadError(
            f"{wanted} is not in the hub's cache ({constants.HF_HUB_CACHE}), and HF_HUB_OFFLINE "
            "forbids to download it: unset it, or give --model the folder of a bundle"
        )
    return DownloadError(
        f"{hub_endpoint()} cannot be reached for {wanted} ({_first_line(error)}): run the same "
        "command again later (it goes on where it stopped), set HF_ENDPOINT to a mirror, or pull "
        "the model on another machine and give --model the bundle's folder"
    )


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
