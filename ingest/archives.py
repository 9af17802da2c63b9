"""Members of zip and tar archives as streams, none of them ever written to a path of its own."""

import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import IO, BinaryIO, cast

from ingest.errors import MalformedDump
from ingest.formats.inflate import MAX_RATIO, RATIO_FREE_BYTES, Reader

# An archive in an archive is read, one more is not.
MAX_DEPTH = 1
# A folder of one dump a minute for two months; a bomb has millions.
MAX_MEMBERS = 100_000

_BLOCK_BYTES = 1 << 20
_IN_MEMORY_BYTES = 64 << 20
_TAR_MAGIC = b"ustar"
_TAR_MAGIC_AT = 257


class Kind(StrEnum):
    """An archive's format."""

    ZIP = "zip"
    TAR = "tar"


@dataclass(frozen=True)
class Member:
    """A file in an archive, by its name there; `refusal` says why it is not read, with a mend.

    `open` returns the member's bytes, seekable, as long as the archive is open.
    """

    name: str
    open: Callable[[], BinaryIO]
    refusal: str = ""
    mend: str = ""


def kind_of(stream: BinaryIO) -> Kind | None:
    """Return what archive a seekable stream holds, packed or not, and go back to its start."""
    head = stream.read(4)
    stream.seek(0)
    if head == b"PK\x03\x04":
        return Kind.ZIP
    try:
        start = _reader(stream, "").peek(_TAR_MAGIC_AT + len(_TAR_MAGIC))
    except MalformedDump:
        return None
    finally:
        stream.seek(0)
    return Kind.TAR if start[_TAR_MAGIC_AT:] == _TAR_MAGIC else None


def members(stream: BinaryIO, kind: Kind, *, name: str) -> Iterator[Member]:
    """Yield the files of an archive in its own order; read each before asking for the next.

    Raises:
        MalformedDump: where the archive is damaged, holds too many members, or inflates beyond
            reason.
    """
    yield from _of_zip(stream, name) if kind is Kind.ZIP else _of_tar(stream, name)


def _of_zip(stream: BinaryIO, name: str) -> Iterator[Member]:
    size = _size(stream)
    try:
        with zipfile.ZipFile(stream) as archive:
            entries = archive.infolist()
            _check_number(len(entries), name)
            _check_ratio(sum(entry.file_size for entry in entries), size, name)
            for entry in entries:
                if entry.is_dir():
                    continue
                refusal, mend = _refusal(entry.filename)
                if entry.flag_bits & 1:
                    refusal, mend = "it is encrypted", "Unpack the archive with its password."
                yield Member(entry.filename, _zip_opener(archive, entry, name), refusal, mend)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, ValueError) as error:
        raise MalformedDump(
            f"{name}: the zip archive is damaged ({error}).\nHint: copy or pack it again."
        ) from error


def _zip_opener(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str
) -> Callable[[], BinaryIO]:
    def opens() -> BinaryIO:
        try:
            with archive.open(entry) as content:
                return _copied(content, entry.compress_size, f"{name}/{entry.filename}")
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise MalformedDump(
                f"{name}/{entry.filename}: cannot be unpacked ({error}).\n"
                "Hint: copy or pack the archive again."
            ) from error

    return opens


def _of_tar(stream: BinaryIO, name: str) -> Iterator[Member]:
    reader = _reader(stream, name)
    with _plain(reader) as plain:
        size = _size(plain)
        try:
            with tarfile.open(fileobj=plain, mode="r:") as archive:
                for number, entry in enumerate(archive, start=1):
                    _check_number(number, name)
                    if entry.isdir():
                        continue
                    refusal, mend = _refusal(entry.name)
                    if not entry.isreg():
                        refusal = "it is a link, device or pipe, not a file"
                        mend = "Pack the file itself."
                    elif entry.issparse() or entry.offset_data + entry.size > size:
                        refusal = "the archive holds only a part of it"
                        mend = "The archive may be cut, or pack the file without holes."
                    yield Member(entry.name, _tar_opener(archive, entry), refusal, mend)
        except (tarfile.TarError, EOFError, ValueError) as error:
            raise MalformedDump(
                f"{name}: the tar archive is damaged ({error}).\nHint: copy or pack it again."
            ) from error
    if reader.is_cut or reader.is_damaged:
        raise MalformedDump(
            f"{name}: the {reader.compression} stream of the archive is cut or damaged; what came "
            "before is kept.\nHint: copy or pack it again."
        )


def _tar_opener(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> Callable[[], BinaryIO]:
    def opens() -> BinaryIO:
        return cast("BinaryIO", cast("IO[bytes]", archive.extractfile(entry)))

    return opens


def _plain(reader: Reader) -> BinaryIO:
    """Return the archive without compression, seekable, its size bounded by the reader."""
    return spooled(iter(reader.read, b""))


def _copied(content: IO[bytes], packed_bytes: int, name: str) -> BinaryIO:
    def counted() -> Iterator[bytes]:
        # What a member says of its size may be a lie.
        length = 0
        while block := content.read(_BLOCK_BYTES):
            length += len(block)
            _check_ratio(length, packed_bytes, name)
            yield block

    return spooled(counted())


def spooled(blocks: Iterator[bytes]) -> BinaryIO:
    """Return a seekable copy of `blocks`; a large one lies in a temporary file."""
    copy = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115
    try:
        for block in blocks:
            copy.write(block)
    except BaseException:
        copy.close()
        raise
    copy.seek(0)
    return cast("BinaryIO", copy)


def _refusal(name: str) -> tuple[str, str]:
    """Return why a member of this name is not read, and what mends it; empty where it is."""
    path = PurePosixPath(name.replace("\\", "/") or "..")
    if path.is_absolute() or ".." in path.parts or path.parts[0][1:2] == ":":
        return "its name leads out of the archive", "Pack it under a plain relative name."
    if any(part.startswith(".") for part in path.parts) or "__MACOSX" in path.parts:
        return "passed over: it is hidden", "Pack it under a plain name if it is a dump."
    return "", ""


def _check_number(number: int, name: str) -> None:
    if number > MAX_MEMBERS:
        raise MalformedDump(
            f"{name}: an archive of more than {MAX_MEMBERS:,} members.\nHint: split it."
        )


def _check_ratio(plain_bytes: int, packed_bytes: int, name: str) -> None:
    if plain_bytes > RATIO_FREE_BYTES and plain_bytes > MAX_RATIO * max(packed_bytes, 1):
        raise MalformedDump(
            f"{name}: inflates more than {MAX_RATIO} times.\n"
            "Hint: this is how a decompression bomb looks; unpack it yourself if you trust it."
        )


def _reader(stream: BinaryIO, name: str) -> Reader:
    return Reader(stream, name=name, size=_size(stream))


def _size(stream: BinaryIO) -> int:
    size = stream.seek(0, 2)
    stream.seek(0)
    return size
