"""Files in object stores, opened in place through Arrow's own file systems."""

from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

import pyarrow as pa
from pyarrow import fs

from ingest.errors import SourceError

# Schemes we take, and Arrow's word for each.
_SCHEMES = {"s3": "s3", "gs": "gs", "az": "abfs", "abfs": "abfs", "abfss": "abfss", "file": "file"}


def is_address(text: str) -> bool:
    """Say whether `text` is an address, `scheme://...`, of a scheme we read."""
    scheme, separator, _ = text.partition("://")
    return bool(separator) and scheme.lower() in _SCHEMES


def files(address: str) -> Iterator[tuple[str, Callable[[], BinaryIO]]]:
    """Yield name and opener of each file at or below an address, sorted.

    Region, endpoint and credentials come from the environment, as Arrow reads them.

    Raises:
        SourceError: where Arrow lacks the store, nothing is there, or access fails.
    """
    scheme, _, rest = address.partition("://")
    try:
        system, path = fs.FileSystem.from_uri(f"{_SCHEMES[scheme.lower()]}://{rest}")
        info = system.get_file_info(path)
        found = [info] if info.type is fs.FileType.File else _below(system, info, path)
    except (OSError, pa.ArrowException, ValueError) as error:
        raise SourceError(
            f"{address}: the store cannot be reached ({str(error).splitlines()[0][:200]}).\n"
            "Hint: check the address, and region, endpoint and credentials in the environment."
        ) from error
    if info.type is fs.FileType.NotFound or not found:
        raise SourceError(f"{address}: nothing is there.\nHint: check the bucket and the path.")
    for each in found:
        yield f"{scheme}://{each.path}", _opener(system, each.path)


def _below(system: fs.FileSystem, info: fs.FileInfo, path: str) -> list[fs.FileInfo]:
    if info.type is not fs.FileType.Directory:
        return []
    below = system.get_file_info(fs.FileSelector(path, recursive=True))
    return sorted(
        (each for each in below if each.type is fs.FileType.File), key=lambda each: each.path
    )


def _opener(system: fs.FileSystem, path: str) -> Callable[[], BinaryIO]:
    def opens() -> BinaryIO:
        try:
            return cast("BinaryIO", system.open_input_file(path))
        except pa.ArrowException as error:
            raise OSError(str(error)) from error

    return opens
