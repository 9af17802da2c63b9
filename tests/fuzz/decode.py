"""Fuzzes the way from bytes to rows: `python tests/fuzz/decode.py CORPUS [libFuzzer options]`.

Needs atheris, which the project does not install: `pip install atheris`. Whatever the bytes say,
a dump is read or refused with a MalformedDump; rows are valid Arrow, and no record is lost: what
the decoders hand on and what they refuse is the same on the fast way and on the walkers' way.
Findings become cases in tests/ingest/test_fuzz_findings.py.
"""

import io
import sys

import atheris

with atheris.instrument_imports(include=["ingest"]):
    from ingest.errors import MalformedDump
    from ingest.formats import (
        json_columns,
        json_records,
        otlp_protobuf,
        protobuf_columns,
        read_dump,
    )
    from ingest.normalize import normalize

DECODERS = {json_columns.decode: json_records.decode, protobuf_columns.decode: otlp_protobuf.decode}


def one(data: bytes) -> None:
    """Read `data` as a dump; anything but rows or a MalformedDump is a finding."""
    try:
        dump = read_dump(io.BytesIO(data), name="fuzz", size=len(data))
        blocks = list(dump.blocks)
    except MalformedDump:
        return
    for block in blocks:
        parts = dump.decode(block)
        spans = refused = 0
        for columns in parts:
            table = normalize(columns, cohort="a", digest="0" * 64)
            table.validate(full=True)
            spans += table.num_rows
            refused += columns.rejects.total
        if walker := DECODERS.get(dump.decode):
            slow = walker(block)
            table = normalize(slow, cohort="a", digest="0" * 64)
            told = (table.num_rows, slow.rejects.total)
            if told != (spans, refused):
                raise AssertionError(f"fast {(spans, refused)}, walker {told}")


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
