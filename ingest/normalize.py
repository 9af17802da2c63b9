"""Rows as decoded -> a table in `schema.SPANS`: what every cell means is decided here.

A span that ends before it starts is refused and counted, not repaired: a made-up duration would
pass for a measured one. The same holds for spans without start or end, which were never finished,
and for ids that are none. An unknown kind or status is read as unspecified.
"""

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest import content, identity, redact
from ingest.attributes import Attributes, as_map, gather, leftovers, repeated, select
from ingest.cells import on_distinct
from ingest.conventions import COLUMNS, EVENT_COLUMNS, NUMBERED_MESSAGES, Column, Place
from ingest.formats.columns import Columns
from ingest.schema import EVENT, LINK, SPANS

Flags = npt.NDArray[np.bool_]

_TOOL_SPAN = r"^(?:execute_tool|running tool:?) (.+)$"
_NUMBERED = [re.compile(pattern) for pattern in NUMBERED_MESSAGES]
_DAY_NS = 86_400_000_000_000


@dataclass(frozen=True)
class IngestConfig:
    """What may enter the lake beyond the default, which keeps no content.

    Attributes:
        keep_content: keep prompts, answers, arguments and results as they are.
        promote: further attribute keys for columns, by column, trusted after the known ones.
    """

    keep_content: bool = False
    promote: tuple[tuple[str, str], ...] = ()


DEFAULT = IngestConfig()


def normalize(
    columns: Columns, *, cohort: str, digest: str, config: IngestConfig = DEFAULT
) -> pa.Table:
    """Return a chunk's spans as a table in `schema.SPANS`; refusals go to `columns.rejects`."""
    size = len(columns)
    if not size:
        return SPANS.empty_table()
    resource_of, scope_of = columns.resource, columns.scope
    spans = gather(columns.of_spans)
    events = gather(columns.of_events)
    links = gather(columns.of_links)
    resources = gather(columns.of_resources)
    scopes = gather(columns.of_scopes)

    cells, usable = _identity(columns)
    cells["cohort"] = pa.repeat(cohort, size).cast(pa.string())
    cells["source_digest"] = pa.repeat(digest, size).cast(pa.string())
    scope_names, scope_versions = columns.scope_name, columns.scope_version
    cells["scope_name"] = _not_empty(scope_names.take(pa.array(scope_of)))
    cells["scope_version"] = _not_empty(scope_versions.take(pa.array(scope_of)))
    event_owners, event_names = columns.event_span, columns.event_name
    event_times = np.maximum(columns.event_time, 0)
    link_owners = columns.link_span
    link_ids = [
        identity.hex_ids(ids, digits)[0]
        for ids, digits in ((columns.link_trace_id, 32), (columns.link_span_id, 16))
    ]

    flags = columns.flags
    words = content.chain(
        *(
            content.of_texts(cells[name])
            for name in ("parent_span_id", "trace_state", "name", "kind", "status")
        ),
        content.of_texts(columns.status_message),
        *(
            content.of_integers(cells[name].to_numpy())
            for name in ("start_ns", "end_ns", *_DROPPED)
        ),
        content.of_integers(flags),
        content.of_attributes(spans),
        content.of_attributes(resources)[resource_of],
        content.chain(
            content.of_texts(scope_names),
            content.of_texts(scope_versions),
            content.of_attributes(scopes),
        )[scope_of],
        content.summed(
            content.chain(
                content.of_texts(event_names),
                content.of_integers(event_times),
                content.of_attributes(events),
            ),
            event_owners,
            size,
        ),
        content.summed(
            content.chain(*map(content.of_texts, link_ids), content.of_attributes(links)),
            link_owners,
            size,
        ),
    )
    cells["content_hash"] = content.folded(words)
    cells["is_parent_remote"] = identity.is_parent_remote(flags)
    cells["weight"] = identity.weights(cells["trace_state"])

    _without_ui_sessions(spans, resources, resource_of)
    for column in _columns(config):
        cells[column.name] = _promoted(column, spans, scopes, resources, scope_of, resource_of)
    _from_events(cells, events, event_names, event_owners, size)
    _derived(cells, spans)
    keep = config.keep_content
    cells["attributes"] = as_map(
        leftovers(spans, keep_content=keep),
        repeated(leftovers(scopes, keep_content=keep, prefix="scope."), scope_of),
        repeated(leftovers(resources, keep_content=keep, prefix="resource."), resource_of),
    )
    cells["events"] = _listed(
        EVENT,
        [pa.array(event_times), event_names, as_map(leftovers(events, keep_content=keep))],
        event_owners,
        size,
    )
    cells["links"] = _listed(
        LINK, [*link_ids, as_map(leftovers(links, keep_content=keep))], link_owners, size
    )
    table = pa.table(
        [
            cells[name].cast(SPANS.field(name).type)
            if name in cells
            else pa.nulls(size, SPANS.field(name).type)
            for name in SPANS.names
        ],
        schema=SPANS,
    )
    return table if usable.all() else table.filter(pa.array(usable))


_DROPPED = ("dropped_attributes_count", "dropped_events_count", "dropped_links_count")


def _identity(columns: Columns) -> tuple[dict[str, pa.Array], Flags]:
    trace_ids, are_traces = identity.hex_ids(columns.trace_id, 32)
    span_ids, are_spans = identity.hex_ids(columns.span_id, 16)
    parents, are_parents = identity.hex_ids(columns.parent_span_id, 16)
    is_root = pc.is_in(
        pc.fill_null(parents, ""), value_set=pa.array(["", "0" * 16], pa.string())
    ).to_numpy(zero_copy_only=False)
    start, end, records = columns.start, columns.end, columns.record
    usable = np.ones(len(start), dtype=bool)
    for bad, reason, mend in (
        (~are_traces, "the trace id is not 16 bytes, or all zero", _MEND_ID),
        (~are_spans, "the span id is not 8 bytes, or all zero", _MEND_ID),
        (~are_parents & ~is_root, "the parent span id is not 8 bytes", _MEND_ID),
        (start == identity.NO_TIME, "the span has no start time", _MEND_TIME),
        (end == identity.NO_TIME, "the span has no end time: it was never finished", _MEND_TIME),
        (
            (start == identity.OUT_OF_RANGE) | (end == identity.OUT_OF_RANGE),
            "a time is not nanoseconds between 1970 and 2262",
            _MEND_TIME,
        ),
        (end < start, "the span ends before it starts", _MEND_TIME),
    ):
        struck = np.flatnonzero(bad & usable)
        if len(struck):
            first = struck[0]
            name = str(columns.name[first].as_py())[:80]
            columns.rejects.add(
                reason,
                place=f"record {records[first]:,}, span {redact.message(name) or '?'!r}",
                mend=mend,
                count=len(struck),
            )
            usable[struck] = False
    cells = {
        "trace_id": trace_ids,
        "span_id": span_ids,
        "parent_span_id": pc.if_else(pa.array(is_root), None, parents),
        "trace_state": _not_empty(columns.trace_state),
        "name": pc.fill_null(columns.name, ""),
        "kind": columns.kind,
        "start_ns": pa.array(start),
        "end_ns": pa.array(end),
        "day": pa.array((start // _DAY_NS).astype("datetime64[D]")),
        "status": columns.status,
        "status_message": on_distinct(columns.status_message, redact.message, pa.string()),
        "source_record": pa.array(records),
        "dropped_attributes_count": pa.array(columns.dropped_attributes),
        "dropped_events_count": pa.array(columns.dropped_events),
        "dropped_links_count": pa.array(columns.dropped_links),
    }
    return cells, usable


_MEND_ID = "Trace ids are 32 hex digits, span ids 16; metrics or logs read as spans look like this."
_MEND_TIME = "Times are nanoseconds since 1970 UTC; see how the exporter's clock was read."


def _columns(config: IngestConfig) -> tuple[Column, ...]:
    if not config.promote:
        return COLUMNS
    more: dict[str, list[str]] = {}
    for column, key in config.promote:
        more.setdefault(column, []).append(key)
    return tuple(
        Column(
            column.name,
            (*column.keys, *more.get(column.name, ())),
            column.meaning,
            column.place,
            column.missing,
            column.renames,
            column.patterns,
        )
        for column in COLUMNS
    )


def _promoted(
    column: Column,
    spans: Attributes,
    scopes: Attributes,
    resources: Attributes,
    scope_of: npt.NDArray[np.int64],
    resource_of: npt.NDArray[np.int64],
) -> pa.Array:
    places: list[tuple[Attributes, npt.NDArray[np.int64] | None]] = [(spans, None)]
    match column.place:
        case Place.ANYWHERE:
            places += [(scopes, scope_of), (resources, resource_of)]
        case Place.RESOURCE_FIRST:
            places.insert(0, (resources, resource_of))
        case Place.SPAN:
            pass
    found: list[pa.Array] = []
    for attributes, of_span in places:
        selected = select(attributes, column)
        if selected is None:
            continue
        cells, made_of = selected
        if not found:
            # What a less trusted place says may be overruled, so it stays in the map as well.
            attributes.used[made_of] = True
        found.append(cells if of_span is None else cells.take(pa.array(of_span)))
    if not found:
        return pa.nulls(spans.size, SPANS.field(column.name).type)
    return pc.coalesce(*found) if len(found) > 1 else found[0]


def _without_ui_sessions(
    spans: Attributes, resources: Attributes, resource_of: npt.NDArray[np.int64]
) -> None:
    """Set aside `session.id` of browsers, which names a visit and not a conversation."""
    if "telemetry.sdk.language" not in resources.keys:
        return
    code = resources.keys.index("telemetry.sdk.language")
    says = (resources.codes == code) & pc.fill_null(
        pc.equal(resources.values, "webjs"), False
    ).to_numpy(zero_copy_only=False)
    is_browser = np.zeros(resources.size, dtype=bool)
    is_browser[resources.owners[says]] = True
    if not is_browser.any():
        return
    for attributes, owned in ((spans, is_browser[resource_of]), (resources, is_browser)):
        if "session.id" in attributes.keys:
            session = attributes.codes == attributes.keys.index("session.id")
            attributes.keys.append("ui_session")
            attributes.codes[session & owned[attributes.owners]] = len(attributes.keys) - 1


def _from_events(
    cells: dict[str, pa.Array],
    events: Attributes,
    names: pa.Array,
    owners: npt.NDArray[np.int64],
    size: int,
) -> None:
    for column in COLUMNS:
        if column.name not in EVENT_COLUMNS:
            continue
        event_name, keys = EVENT_COLUMNS[column.name]
        selected = select(events, Column(column.name, keys, column.meaning))
        if selected is None:
            continue
        found, _ = selected
        is_it = pc.and_(found.is_valid(), pc.equal(names, event_name))
        rows = np.flatnonzero(pc.fill_null(is_it, False).to_numpy(zero_copy_only=False))
        pick = np.full(size, -1, dtype=np.int64)
        pick[owners[rows][::-1]] = rows[::-1]
        of_spans = found.take(pa.array(pick, mask=pick < 0))
        cells[column.name] = pc.coalesce(cells[column.name], of_spans)


def _derived(cells: dict[str, pa.Array], spans: Attributes) -> None:
    """Fill what names and pairs of columns say together."""
    names = cells["name"]
    tool = pc.extract_regex(names, _TOOL_SPAN.replace("(.+)", "(?P<tool>.+)"))
    cells["tool_name"] = pc.coalesce(cells["tool_name"], pc.struct_field(tool, "tool"))
    is_mcp = pc.fill_null(pc.equal(cells["rpc_system"], "mcp"), False)
    for to, source in (("mcp_method", "rpc_method"), ("mcp_server", "rpc_service")):
        cells[to] = pc.coalesce(cells[to], pc.if_else(is_mcp, cells[source], None))
    has_rpc = cells["rpc_system"].is_valid()
    full = pc.coalesce(cells["rpc_method"], pc.if_else(pc.starts_with(names, "/"), names, None))
    split = pc.extract_regex(
        pc.if_else(has_rpc, full, None), r"^/?(?P<service>[^/ ]+)/(?P<method>[^/ ]+)$"
    )
    method = pc.struct_field(split, "method")
    cells["rpc_service"] = pc.coalesce(cells["rpc_service"], pc.struct_field(split, "service"))
    cells["rpc_method"] = pc.coalesce(method, cells["rpc_method"])
    is_tool = pc.or_(
        pc.fill_null(pc.equal(cells["vendor_kind"], "tool"), False),
        pc.fill_null(pc.starts_with(cells["operation"], "execute_tool"), False),
    )
    cells["args_hash"] = pc.coalesce(
        cells["args_hash"], pc.if_else(is_tool, cells["input_hash"], None)
    )
    is_store = pc.is_in(
        cells["db_system"], value_set=pa.array(["redis", "valkey", "memcached"], pa.string())
    )
    if pc.any(is_store).as_py():
        bare = on_distinct(pc.if_else(is_store, cells["query_text"], None), _command, pa.string())
        cells["query_text"] = pc.if_else(is_store, bare, cells["query_text"])
    numbered = _numbered_messages(spans)
    if numbered is not None:
        cells["input_message_count"] = pc.coalesce(cells["input_message_count"], numbered)


def _command(text: str) -> str:
    word, blank, _ = text.partition(" ")
    return f"{word} ?" if blank else word


def _numbered_messages(spans: Attributes) -> pa.Array | None:
    numbers = np.zeros(len(spans.keys), dtype=np.int64)
    for code, key in enumerate(spans.keys):
        for pattern in _NUMBERED:
            if found := pattern.match(key):
                numbers[code] = min(int(found[1]), 1 << 40) + 1
    if not numbers.any():
        return None
    highest = np.zeros(spans.size, dtype=np.int64)
    np.maximum.at(highest, spans.owners, numbers[spans.codes])
    return pa.array(highest, mask=highest == 0)


def _listed(
    kind: pa.StructType, columns: list[pa.Array], owners: npt.NDArray[np.int64], size: int
) -> pa.Array:
    starts = np.searchsorted(owners, np.arange(size + 1)).astype(np.int32)
    items = pa.StructArray.from_arrays(
        [column.cast(part.type) for column, part in zip(columns, kind, strict=True)],
        fields=list(kind),
    )
    return pa.ListArray.from_arrays(pa.array(starts), items)


def _not_empty(array: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(array, ""), None, array)
