"""Single files out of tars, for whoever wants to look at a picture again."""

from __future__ import annotations

from functools import lru_cache

from clipworks.data.addresses import is_address
from clipworks.data.remote_files import open_file
from clipworks.data.tar_reader import TarMember, TarReader, decompressed
from clipworks.errors import InputError


def read_tar_member(archive: str, name: str) -> bytes:
    """Read one file of a tar, local or not, compressed or not.

    Where the tar is a plain local file, its table of contents is kept for further files of it.

    Raises:
        InputError: the archive cannot be read or has no such file.
    """
    if not is_address(archive):
        table = _table_of_contents(archive)
        if table is not None:
            return _read_at(archive, _find(table, name))
    with open_file(archive) as raw:
        stream, _ = decompressed(raw)
        reader = TarReader(stream)
        for member in reader:
            if member.name == name:
                return reader.read(member)
    raise _no_such_file(name)


def _find(table: dict[str, TarMember], name: str) -> TarMember:
    if name not in table:
        raise _no_such_file(name)
    return table[name]


def _no_such_file(name: str) -> InputError:
    return InputError(f"the archive has no file {name!r}")


def _read_at(archive: str, member: TarMember) -> bytes:
    with open_file(archive) as stream:
        stream.seek(member.data)
        return TarReader(stream, position=member.data).read(member)


@lru_cache(maxsize=8)
def _table_of_contents(archive: str) -> dict[str, TarMember] | None:
    """The files up to a cut, if there is one; None for a compressed tar."""
    with open_file(archive) as raw:
        stream, is_compressed = decompressed(raw)
        if is_compressed:
            return None
        table: dict[str, TarMember] = {}
        try:
            for member in TarReader(stream, can_seek=True):
                table.setdefault(member.name, member)
        except InputError:
            if not table:
                raise
        return table
