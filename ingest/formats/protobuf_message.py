"""One protobuf request with nothing around it: the body an OTLP exporter posts."""

from collections.abc import Iterator

from ingest.errors import MalformedDump
from ingest.formats import otlp_protobuf
from ingest.formats.inflate import Reader
from ingest.formats.rows import Rows

NAME = "OTLP protobuf message"
MAX_MESSAGE_BYTES = 256 << 20


def matches(head: bytes) -> bool:
    """Say whether `head` starts with the field of resource spans."""
    return head[:1] == b"\x0a"


def decode(reader: Reader, rows: Rows) -> Iterator[int]:
    """Yield 1 once the message is read; its spans are in `rows` by then.

    Raises:
        MalformedDump: where the bytes are no OTLP request.
    """
    data = reader.read_all(MAX_MESSAGE_BYTES)
    try:
        request = otlp_protobuf.parse(data)
    except ValueError as error:
        raise MalformedDump(
            f"{reader.name}: starts like an OTLP protobuf message but is none, or is cut.\n"
            "Hint: export it again; several messages in one file need a length before each."
        ) from error
    otlp_protobuf.walk(request, rows, 1)
    yield 1
