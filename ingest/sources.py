"""From what a person names to named streams: files, folders, globs, archives, buckets, pipes.

Every file, and every member of an archive, is a source of its own. Archives are read in place:
nothing is ever unpacked to a path. What is passed over, or cannot be opened, is a source too, and
says why when it is opened.
"""

import glob
import hashlib
import io
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from ingest import archives, buckets
from ingest.errors import MalformedDump, SourceError

Named = Path | str | tuple[str, BinaryIO]

_BLOCK_BYTES = 1 << 20
STANDARD_INPUT = "standard input"


@dataclass(frozen=True)
class Source:
    """One stream of bytes to read.

    Attributes:
        name: what to call it: a path, `archive.zip/member`, an address, `standard input`.
        open: opens it for reading from the start, seekable; the caller closes it. Raises
            MalformedDump or OSError where it cannot be read.
        passed_over: why the source is not meant to be read; then `open` raises that.
    """

    name: str
    open: Callable[[], BinaryIO]
    passed_over: str = ""


def expand(paths: Sequence[Named]) -> Iterator[Source]:
    """Yield the sources that `paths` name, in their order; folders and globs sorted.

    A path may be a file, a folder, a glob, `-` for standard input, an address of a bucket (`s3://`,
    `gs://`, `az://`, `abfs://`), or a name with an open binary stream. Members of an archive must
    be opened before the next source is asked for.

    Raises:
        SourceError: where a path is not there, or a bucket cannot be reached.
    """
    for named in paths:
        if isinstance(named, tuple):
            yield from _in_archive(_once(*named))
        elif str(named) == "-":
            yield from _in_archive(_once(STANDARD_INPUT, sys.stdin.buffer))
        elif buckets.is_address(str(named)):
            for name, opens in buckets.files(str(named)):
                yield from _in_archive(Source(name, opens))
        else:
            for source in _local(Path(named)):
                yield from [source] if source.passed_over else _in_archive(source)


def _once(name: str, stream: BinaryIO) -> Source:
    return Source(name, lambda: _spooled(stream))


def _spooled(stream: BinaryIO) -> BinaryIO:
    return archives.spooled(iter(partial(stream.read, _BLOCK_BYTES), b""))


def digest(stream: BinaryIO) -> tuple[str, int]:
    """Return the sha256 in hex and the length in bytes of a stream as stored, and go back to 0."""
    hashed, size = hashlib.sha256(), 0
    while block := stream.read(_BLOCK_BYTES):
        hashed.update(block)
        size += len(block)
    stream.seek(0)
    return hashed.hexdigest(), size


def _local(path: Path) -> Iterator[Source]:
    if path.is_dir():
        yield from _in_folder(path)
    elif path.exists():
        yield _file(path)
    elif glob.has_magic(str(path)):
        # Path.glob takes no absolute patterns.
        found = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207
        if not found:
            raise SourceError(f"{path}: no file matches.\nHint: check the pattern and the folder.")
        for each in map(Path, found):
            if not each.is_dir():
                yield _file(each)
            elif "**" not in str(path):
                yield from _in_folder(each)
    else:
        raise SourceError(f"{path}: no such file or folder.\nHint: check the path.")


def _in_folder(folder: Path) -> Iterator[Source]:
    if _is_lake(folder):
        yield _passed_over(folder, "it is a lake, not a dump", "Name the dumps' own folder.")
        return
    unreadable: list[OSError] = []
    for root, folders, files in os.walk(folder, onerror=unreadable.append):
        here = Path(root)
        for name in sorted(folders):
            each = here / name
            if name.startswith("."):
                yield _passed_over(each, "it is hidden", "Name it if it holds dumps.")
            elif _is_lake(each):
                yield _passed_over(each, "it is a lake, not a dump", "Name a dump instead.")
            elif each.is_symlink():
                yield _passed_over(each, "it is a link to a folder", "Name the folder itself.")
            else:
                continue
            folders.remove(name)
        folders.sort()
        for name in sorted(files):
            each = here / name
            if name.startswith("."):
                yield _passed_over(each, "it is hidden", "Name it if it is a dump.")
            else:
                yield _file(each)

    for error in unreadable:
        why = f"the folder cannot be read: {error.strerror}"
        yield refused(str(error.filename), why, "Check that you may read it.")


def _is_lake(folder: Path) -> bool:
    return (folder / "_delta_log").is_dir()


def _file(path: Path) -> Source:
    return Source(str(path), lambda: _open_file(path))


def _open_file(path: Path) -> BinaryIO:
    mode = path.stat().st_mode
    if stat.S_ISFIFO(mode):
        with path.open("rb") as pipe:
            return _spooled(pipe)
    if not stat.S_ISREG(mode):
        raise OSError(f"{path.name} is neither a file nor a folder")
    return path.open("rb")


def _passed_over(path: Path, why: str, mend: str) -> Source:
    return refused(str(path), f"passed over: {why}", mend, is_meant=True)


def refused(name: str, why: str, mend: str, *, is_meant: bool = False) -> Source:
    """Return a source that cannot be opened, and says so when it is."""

    def refuse() -> BinaryIO:
        raise MalformedDump(f"{name}: {why}.\nHint: {mend}")

    return Source(name, refuse, why if is_meant else "")


def _in_archive(source: Source, *, depth: int = 0) -> Iterator[Source]:
    """Yield the members of an archive, or the source itself where it is none."""
    try:
        stream = source.open()
    except (MalformedDump, OSError):
        # Opening it again tells the same, at the place where sources are read.
        yield source
        return
    kind = archives.kind_of(stream)
    if kind is None:
        if isinstance(stream, io.BufferedReader):
            # A plain file: nothing is held open for those who ask for all sources first.
            stream.close()
            yield source
        else:
            yield Source(source.name, _handed_over(stream, source))
        return
    with stream:
        if depth > archives.MAX_DEPTH:
            yield refused(source.name, "an archive in an archive in an archive", "Unpack one.")
            return
        try:
            for member in archives.members(stream, kind, name=source.name):
                name = f"{source.name}/{member.name}"
                if member.refusal:
                    yield refused(name, member.refusal, member.mend)
                else:
                    yield from _in_archive(Source(name, member.open), depth=depth + 1)
        except MalformedDump as error:
            why, _, mend = str(error).removeprefix(f"{source.name}: ").partition("\nHint: ")
            yield refused(source.name, why.removesuffix("."), mend)


def _handed_over(stream: BinaryIO, source: Source) -> Callable[[], BinaryIO]:
    """Return an opener that hands over the open stream the first time it is asked."""
    waiting = [stream]

    def take() -> BinaryIO:
        return waiting.pop() if waiting else source.open()

    return take
