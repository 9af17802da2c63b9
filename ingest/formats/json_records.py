"""JSON records of any kind we know, one at a time: parses each and hands it to its walker."""

import orjson

from ingest.formats import otlp_json
from ingest.formats.blocks import Block
from ingest.formats.columns import Columns
from ingest.formats.rows import Rows


def decode(block: Block) -> Columns:
    """Return the spans of all records; those that cannot be read are counted in `rejects`."""
    rows = Rows()
    for record, _, line in block.records():
        line = line.strip()
        if record == 1:
            line = line.removeprefix(b"\xef\xbb\xbf").strip()
        if not line:
            continue
        try:
            document = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            rows.rejects.add(
                "the line is not JSON",
                place=f"line {record:,} ({error})"[:300],
                mend="The line may be cut or hold log text; export it again.",
            )
            continue
        otlp_json.walk(document, rows, record)
    return rows.columns()
