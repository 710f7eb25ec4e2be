"""Where bundles are kept: those in this package, and those pulled into the user's cache."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clipworks.encoders.bundle import is_bundle
from clipworks.errors import UnknownModelError
from clipworks.files import cache_folder, folder_beside, temporary_name

PACKAGED_BUNDLES = Path(__file__).parent / "bundles"

_NAME = re.compile(r"[A-Za-z0-9][\w.@+-]*(/[A-Za-z0-9][\w.@+-]*)*")
_STRAY_AGE_S = 24 * 3600.0


def stored_bundles() -> Path:
    """The folder of pulled bundles: `bundles` in the cache."""
    return cache_folder() / "bundles"


def find_stored(name: str) -> Path | None:
    """The folder of an installed bundle, or None: the package's own first."""
    if not _NAME.fullmatch(name):
        return None
    for root in (PACKAGED_BUNDLES, stored_bundles()):
        if is_bundle(root / name):
            return root / name
    return None


def list_stored() -> dict[str, Path]:
    """Installed bundles, name to folder."""
    found: dict[str, Path] = {}
    for root in (stored_bundles(), PACKAGED_BUNDLES):
        for card in sorted(root.glob("**/bundle.json")):
            name = card.parent.relative_to(root).as_posix()
            if _NAME.fullmatch(name):
                found[name] = card.parent
    return found


@contextmanager
def new_bundle(name: str, *, replace: bool = False) -> Iterator[Path]:
    """Give an empty folder; on leaving without an error it becomes the bundle of that name.

    A kill leaves no half bundle under the name. Where another process was first, its bundle stays
    and ours goes, unless `replace`.

    Raises:
        UnknownModelError: the name cannot be a folder's.
    """
    if not _NAME.fullmatch(name):
        raise UnknownModelError(f"{name!r} cannot name a bundle: use letters, digits and . _ - /")
    folder = stored_bundles() / name
    _remove_strays(folder)
    with folder_beside(folder) as temporary:
        yield temporary
        _publish(temporary, folder, replace=replace)


def place_file(source: Path, target: Path) -> None:
    """Put a cached download into a bundle: as a second name of the same file, or else as a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source.resolve())
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def _publish(temporary: Path, folder: Path, *, replace: bool) -> None:
    is_rubble = folder.exists() and not is_bundle(folder)
    if replace or is_rubble:
        old = temporary_name(folder)
        with suppress(FileNotFoundError):
            folder.rename(old)
        shutil.rmtree(old, ignore_errors=True)
    try:
        temporary.rename(folder)
    except OSError:
        if not is_bundle(folder):
            raise


def _remove_strays(folder: Path) -> None:
    """Delete what killed pulls left behind; younger folders may belong to a living one."""
    for stray in folder.parent.glob(f".{folder.name}.*.part"):
        with suppress(FileNotFoundError):
            if time.time() - stray.stat().st_mtime > _STRAY_AGE_S:
                shutil.rmtree(stray, ignore_errors=True)
