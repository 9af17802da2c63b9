"""One protobuf request with nothing around it: the body an OTLP exporter posts."""

from collections.abc import Iterator

from ingest.errors import MalformedDump
from ingest.formats import otlp_protobuf
from ingest.formats.blocks import MAX_RECORD_BYTES, Block, whole
from ingest.formats.inflate import Reader
from ingest.report import Rejects

NAME = "OTLP protobuf message"


def matches(head: bytes) -> bool:
    """Say whether `head` starts with the field of resource spans."""
    return head[:1] == b"\x0a"


def blocks(reader: Reader, _: Rejects) -> Iterator[Block]:
    """Yield the message.

    Raises:
        MalformedDump: where the bytes are no OTLP request.
    """
    data = reader.read_all(MAX_RECORD_BYTES)
    try:
        otlp_protobuf.parse(data)
    except ValueError as error:
        raise MalformedDump(
            f"{reader.name}: starts like an OTLP protobuf message but is none, or is cut.\n"
            "Hint: export it again; several messages in one file need a length before each."
        ) from error
    yield whole(data, first=1, offset=0)
