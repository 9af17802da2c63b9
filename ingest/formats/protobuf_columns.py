"""OTLP protobuf requests -> columns."""

from ingest.formats import otlp_protobuf
from ingest.formats.blocks import Block
from ingest.formats.columns import Columns


def decode(block: Block) -> list[Columns]:
    """Return the block's spans."""
    return [otlp_protobuf.decode(block)]
