"""What else turns collector JSON into Parquet, one row a span: ids, times, name, attributes.

Stands alone, so that an interpreter without this project can run it. Prints a line of JSON. None
of these types a column, redacts, drops copies, or counts what it could not read.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable

_VALUE = "stringValue VARCHAR, intValue VARCHAR, doubleValue DOUBLE, boolValue BOOLEAN"
_ATTRIBUTES = (
    f'STRUCT("key" VARCHAR, "value" STRUCT({_VALUE}, arrayValue JSON, kvlistValue JSON))[]'
)
_SPAN = (
    "STRUCT(traceId VARCHAR, spanId VARCHAR, parentSpanId VARCHAR, name VARCHAR, kind INTEGER, "
    f"startTimeUnixNano VARCHAR, endTimeUnixNano VARCHAR, attributes {_ATTRIBUTES})"
)
_RESOURCE_SPANS = (
    f"STRUCT(resource STRUCT(attributes {_ATTRIBUTES}), scopeSpans STRUCT(spans {_SPAN}[])[])[]"
)
_DUCKDB = f"""
COPY (
    WITH
    resources AS (
        SELECT unnest(resourceSpans) AS found
        FROM read_json(
            $source, format = 'newline_delimited', maximum_object_size = 268435456,
            columns = {{'resourceSpans': '{_RESOURCE_SPANS}'}}
        )
    ),
    scopes AS (SELECT found.resource AS resource, unnest(found.scopeSpans) AS found FROM resources),
    spans  AS (SELECT resource, unnest(found.spans) AS span FROM scopes)
    SELECT
        span.traceId,
        span.spanId,
        span.parentSpanId,
        span.name,
        span.kind,
        span.startTimeUnixNano::BIGINT AS start_ns,
        span.endTimeUnixNano::BIGINT   AS end_ns,
        map_from_entries(list_transform(span.attributes, lambda each: (each."key", $TEXT)))
            AS attributes,
        map_from_entries(list_transform(resource.attributes, lambda each: (each."key", $TEXT)))
            AS resource
    FROM spans
) TO $target (FORMAT parquet, COMPRESSION zstd)
""".replace(
    "$TEXT",
    'coalesce(each."value".stringValue, each."value".intValue, each."value".doubleValue::VARCHAR,'
    ' each."value".boolValue::VARCHAR, each."value".arrayValue::VARCHAR)',
)

_CH_VALUE = (
    "Tuple(stringValue Nullable(String), intValue Nullable(String), doubleValue Nullable(Float64), "
    "boolValue Nullable(Bool), arrayValue Tuple(values Array(Tuple(stringValue String))))"
)
_CH_ATTRIBUTES = f"Array(Tuple(key String, value {_CH_VALUE}))"
_CH_SPAN = (
    "Tuple(traceId String, spanId String, parentSpanId String, name String, kind Int8, "
    f"startTimeUnixNano String, endTimeUnixNano String, attributes {_CH_ATTRIBUTES})"
)
_CH_RESOURCE_SPANS = (
    f"Array(Tuple(resource Tuple(attributes {_CH_ATTRIBUTES}), "
    f"scopeSpans Array(Tuple(spans Array({_CH_SPAN})))))"
)
_CH_TEXT = (
    "coalesce(x.value.stringValue, x.value.intValue, toString(x.value.doubleValue), "
    "toString(x.value.boolValue), toString(x.value.arrayValue))"
)
_CHDB = """
SELECT * EXCEPT (pairs, shared) FROM (
SELECT
    span.traceId AS trace_id,
    span.spanId AS span_id,
    span.parentSpanId AS parent_span_id,
    span.name AS name,
    span.kind AS kind,
    toInt64(span.startTimeUnixNano) AS start_ns,
    toInt64(span.endTimeUnixNano) AS end_ns,
    span.attributes AS pairs,
    of.resource.attributes AS shared,
    mapFromArrays(pairs.key, arrayMap(x -> ifNull($TEXT, ''), pairs)) AS attributes,
    mapFromArrays(shared.key, arrayMap(x -> ifNull($TEXT, ''), shared)) AS resource
FROM file('$source', 'JSONEachRow', 'resourceSpans $KIND')
ARRAY JOIN resourceSpans AS of
ARRAY JOIN of.scopeSpans AS scope
ARRAY JOIN scope.spans AS span
)
INTO OUTFILE '$target' TRUNCATE FORMAT Parquet
SETTINGS input_format_skip_unknown_fields = 1, output_format_parquet_compression_method = 'zstd'
"""


def pandas_frame(source: str, target: str) -> None:
    """Write with `pandas.json_normalize`, attributes as a map."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    with open(source, "rb") as lines:  # noqa: PTH123 - as its documentation shows
        documents = [json.loads(line) for line in lines]
    # A member of a member cannot be told beside a path of lists, so it is lifted up before.
    records = [
        {"resource": of["resource"]["attributes"], "scopeSpans": of["scopeSpans"]}
        for document in documents
        for of in document["resourceSpans"]
    ]
    frame = pd.json_normalize(records, ["scopeSpans", "spans"], ["resource"])
    for name in ("startTimeUnixNano", "endTimeUnixNano"):
        frame[name] = frame[name].astype("int64")
    columns = ["traceId", "spanId", "parentSpanId", "name", "kind"]
    table = pa.Table.from_pandas(frame[[*columns, "startTimeUnixNano", "endTimeUnixNano"]])
    for name in ("attributes", "resource"):
        pairs = [
            [(each["key"], str(next(iter(each["value"].values()), ""))) for each in found]
            for found in frame[name]
        ]
        table = table.append_column(name, pa.array(pairs, pa.map_(pa.string(), pa.string())))
    pq.write_table(table, target, compression="zstd")


def duckdb(source: str, target: str) -> None:
    """Write with one statement of DuckDB."""
    import duckdb as engine

    statement = _DUCKDB.replace("$source", f"'{source}'").replace("$target", f"'{target}'")
    engine.connect().execute(statement)


def chdb(source: str, target: str) -> None:
    """Write with one statement of ClickHouse, in process."""
    import chdb as engine

    statement = _CHDB.replace("$source", source).replace("$target", target)
    engine.query(statement.replace("$KIND", _CH_RESOURCE_SPANS).replace("$TEXT", _CH_TEXT))


def _rows(path: str) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


TOOLS: dict[str, tuple[str, Callable[[str, str], None]]] = {
    "pandas": ("pandas", pandas_frame),
    "duckdb": ("duckdb", duckdb),
    "chdb": ("chdb", chdb),
}

if __name__ == "__main__":
    tool, dump, written = sys.argv[1:]
    module, function = TOOLS[tool]
    try:
        importlib.import_module(module)
    except ImportError:
        print(json.dumps({"missing": True}))  # noqa: T201
        sys.exit()
    started = time.process_time()
    function(dump, written)
    cpu = time.process_time() - started
    print(json.dumps({"cpu": cpu, "spans": _rows(written)}))  # noqa: T201
