"""Columns as decoded -> a table in `schema.SPANS`: what every cell means is decided here.

A span that ends before it starts is refused and counted, not repaired: a made-up duration would
pass for a measured one. The same holds for spans without start or end, which were never finished,
and for ids that are none. A wrong parent or link says less than the span: it is set to null, and
`quality` tells. An unknown kind or status is read as unspecified.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest import cells as made
from ingest import content, identity, redact
from ingest.attributes import Attributes, Found, find, gather, select
from ingest.conventions import COLUMNS, Column, Place
from ingest.derived import derive, from_events
from ingest.formats.columns import Columns, Integers, Pairs
from ingest.leftovers import as_map, leftovers, repeated
from ingest.schema import EVENT, LINK, SPANS

Flags = npt.NDArray[np.bool_]

_DAY_NS = 86_400_000_000_000
_DROPPED = ("dropped_attributes_count", "dropped_events_count", "dropped_links_count")
_QUALITIES = pa.array(["self_parent", "invalid_parent", "invalid_link"], pa.string())


@dataclass(frozen=True)
class IngestConfig:
    """What may enter the lake beyond the default, which keeps no content.

    Attributes:
        keep_content: keep prompts, answers, arguments and results as they are, each up to 1 MiB.
            Query text and URLs stay masked, persons hashed, secrets out.
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
    resources, spans = _without_ui_sessions(columns)
    scopes, events, links = map(gather, (columns.of_scopes, columns.of_events, columns.of_links))
    link_ids, links_are_ids = _link_ids(columns)
    cells, usable = _identity(columns, columns.link_span[~links_are_ids])
    cells["cohort"] = pa.repeat(cohort, size)
    cells["source_digest"] = pa.repeat(digest, size)
    of_scopes = pa.array(columns.scope)
    for name, texts in (
        ("scope_name", columns.scope_name),
        ("scope_version", columns.scope_version),
    ):
        cells[name] = made.without_empty(made.names(texts).take(of_scopes))
    event_times = np.maximum(columns.event_time, 0)
    cells["content_hash"] = content.folded(
        content.chain(
            _own_words(columns, cells),
            content.of_attributes(spans),
            content.of_attributes(resources)[columns.resource],
            content.chain(
                content.of_texts(columns.scope_name),
                content.of_texts(columns.scope_version),
                content.of_attributes(scopes),
            )[columns.scope],
            content.summed(
                content.chain(
                    content.of_texts(columns.event_name),
                    content.of_integers(event_times),
                    content.of_attributes(events),
                ),
                columns.event_span,
                size,
            ),
            content.summed(
                content.chain(*map(content.of_texts, link_ids), content.of_attributes(links)),
                columns.link_span,
                size,
            ),
        )
    )
    _promote(cells, spans, (scopes, of_scopes), (resources, pa.array(columns.resource)), config)
    from_events(cells, events, columns.event_name, columns.event_span)
    derive(cells, spans, columns.status_message)
    keep = config.keep_content
    cells["attributes"] = as_map(
        leftovers(spans, keep_content=keep),
        repeated(leftovers(scopes, keep_content=keep, prefix="scope."), columns.scope),
    )
    of_resources = as_map(leftovers(resources, keep_content=keep))
    cells["resource_attributes"] = of_resources.take(pa.array(columns.resource))
    of_events = as_map(leftovers(events, keep_content=keep))
    cells["events"] = _listed(
        EVENT,
        [pa.array(event_times), made.names(columns.event_name), of_events],
        columns.event_span,
        size,
    )
    of_links = as_map(leftovers(links, keep_content=keep))
    cells["links"] = _listed(LINK, [*link_ids, of_links], columns.link_span, size)
    table = pa.table([_typed(cells[field.name], field.type) for field in SPANS], schema=SPANS)
    return table if usable.all() else table.filter(pa.array(usable))


def _typed(array: pa.Array, to: pa.DataType) -> pa.Array:
    return array if array.type == to else array.cast(to)


def _own_words(columns: Columns, cells: dict[str, pa.Array]) -> content.Words:
    """Return a word for what each span says without attributes, events and links."""
    texts = (
        cells["parent_span_id"],
        columns.trace_state,
        columns.name,
        columns.kind,
        columns.status,
        columns.status_message,
    )
    numbers = (
        columns.start,
        columns.end,
        columns.dropped_attributes,
        columns.dropped_events,
        columns.dropped_links,
        columns.flags,
    )
    return content.chain(
        *map(content.of_texts, texts),
        *map(content.of_integers, numbers),
    )


def _link_ids(columns: Columns) -> tuple[list[pa.StringArray], Flags]:
    ids, good = [], np.ones(len(columns.link_span), dtype=bool)
    for written, digits in ((columns.link_trace_id, 32), (columns.link_span_id, 16)):
        found, are_ids, are_none = identity.hex_ids(written, digits)
        ids.append(found if are_ids.all() else pc.if_else(pa.array(are_ids), found, None))
        good &= are_ids | are_none
    return ids, good


def _identity(columns: Columns, bad_links: Integers) -> tuple[dict[str, pa.Array], Flags]:
    trace_ids, are_traces, _ = identity.hex_ids(columns.trace_id, 32)
    span_ids, are_spans, _ = identity.hex_ids(columns.span_id, 16)
    parents, are_parents, are_roots = identity.hex_ids(columns.parent_span_id, 16)
    usable = _usable(columns, are_traces, are_spans)
    are_own = are_parents & pc.fill_null(pc.equal(parents, span_ids), False).to_numpy(
        zero_copy_only=False
    )
    qualities = np.zeros((len(columns), len(_QUALITIES)), dtype=bool)
    qualities[:, 0] = are_own
    qualities[:, 1] = ~are_parents & ~are_roots
    qualities[bad_links, 2] = True
    has_parent = are_parents & ~are_own
    trace_states = columns.trace_state
    if trace_states.null_count < len(trace_states):
        trace_states = made.on_distinct(trace_states, redact.sampling, pa.string())
    messages = made.on_distinct(
        made.without_nul(columns.status_message), redact.message, pa.string()
    )
    cells = {
        "trace_id": trace_ids,
        "span_id": span_ids,
        "parent_span_id": pc.if_else(pa.array(has_parent), parents, None),
        "trace_state": trace_states,
        "is_parent_remote": identity.is_parent_remote(columns.flags),
        "weight": identity.weights(trace_states),
        "name": pc.fill_null(made.names(columns.name), ""),
        "kind": columns.kind,
        "start_ns": pa.array(columns.start),
        "duration_ns": pa.array(columns.end - columns.start),
        "day": pa.array((columns.start // _DAY_NS).astype("datetime64[D]")),
        "status": columns.status,
        "status_message": messages,
        "source_record": pa.array(columns.record),
        "quality": _quality(qualities),
    }
    counts = (columns.dropped_attributes, columns.dropped_events, columns.dropped_links)
    cells |= {name: pa.array(count) for name, count in zip(_DROPPED, counts, strict=True)}
    return cells, usable


def _quality(qualities: Flags) -> pa.ListArray:
    if not qualities.any():
        return pa.nulls(len(qualities), SPANS.field("quality").type)
    counts = qualities.sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(
        pa.array(offsets),
        _QUALITIES.take(pa.array(np.nonzero(qualities)[1])),
        mask=pa.array(counts == 0),
    )


def _usable(columns: Columns, are_traces: Flags, are_spans: Flags) -> Flags:
    """Return which spans may enter the lake; the others are counted as rejects."""
    start, end, records = columns.start, columns.end, columns.record
    usable = np.ones(len(start), dtype=bool)
    for bad, reason, mend in (
        (~are_traces, "the trace id is not 16 bytes, or all zero", _MEND_ID),
        (~are_spans, "the span id is not 8 bytes, or all zero", _MEND_ID),
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
    return usable


_MEND_ID = "Trace ids are 32 hex digits, span ids 16; metrics or logs read as spans look like this."
_MEND_TIME = "Times are nanoseconds since 1970 UTC; see how the exporter's clock was read."


@lru_cache(maxsize=16)
def _columns(promote: tuple[tuple[str, str], ...]) -> tuple[Column, ...]:
    more: dict[str, list[str]] = {}
    for column, key in promote:
        more.setdefault(column, []).append(key)
    return tuple(
        replace(column, keys=(*column.keys, *more.get(column.name, ()))) for column in COLUMNS
    )


def _promote(
    cells: dict[str, pa.Array],
    spans: Attributes,
    scopes: tuple[Attributes, pa.Array],
    resources: tuple[Attributes, pa.Array],
    config: IngestConfig,
) -> None:
    """Add every promoted column; scopes and resources come with each span's position in them."""
    columns = _columns(config.promote)
    own, scope, resource = (
        (attributes, of_span, find(attributes, columns))
        for attributes, of_span in ((spans, None), scopes, resources)
    )
    for column in columns:
        match column.place:
            case Place.ANYWHERE:
                places = [own, scope, resource]
            case Place.RESOURCE_FIRST:
                places = [resource, own]
            case Place.SPAN:
                places = [own]
        cells[column.name] = _chosen(column, places, spans.size)


def _chosen(
    column: Column, places: list[tuple[Attributes, pa.Array | None, Found]], size: int
) -> pa.Array:
    chosen: list[pa.Array] = []
    for trust, (attributes, of_span, found) in enumerate(places):
        if column.name not in found:
            continue
        cells, made_of = select(attributes, column, found[column.name])
        if trust == 0:
            # What a less trusted place says may be overruled, so it stays in the map as well:
            # whether it is must not hang on the other spans of the chunk.
            attributes.used[made_of] = True
        chosen.append(cells if of_span is None else cells.take(of_span))
    if not chosen:
        return pa.nulls(size, SPANS.field(column.name).type)
    return pc.coalesce(*chosen) if len(chosen) > 1 else chosen[0]


def _without_ui_sessions(columns: Columns) -> tuple[Attributes, Attributes]:
    """Return resources and spans with `session.id` of browsers set aside: it names a visit."""
    resources = gather(columns.of_resources)
    if "telemetry.sdk.language" not in resources.keys:
        return resources, gather(columns.of_spans)
    rows = resources.entries(resources.keys.index("telemetry.sdk.language"))
    says = pc.equal(resources.values(rows), "webjs")
    is_browser = np.zeros(resources.size, dtype=bool)
    is_browser[resources.owners[rows]] = pc.fill_null(says, False).to_numpy(zero_copy_only=False)
    if not is_browser.any():
        return resources, gather(columns.of_spans)
    return (
        gather(_set_aside(columns.of_resources, is_browser)),
        gather(_set_aside(columns.of_spans, is_browser[columns.resource])),
    )


def _set_aside(pairs: Pairs, is_browser: Flags) -> Pairs:
    names = pairs.keys.dictionary.to_pylist()
    sessions = [code for code, name in enumerate(names) if name == "session.id"]
    codes = pairs.keys.indices.to_numpy(zero_copy_only=False).copy()
    codes[np.isin(codes, sessions) & np.repeat(is_browser, pairs.counts)] = len(names)
    keys = pa.DictionaryArray.from_arrays(
        pa.array(codes, pa.int32()), pa.array([*names, "ui_session"], pa.string())
    )
    return replace(pairs, keys=keys)


def _listed(
    kind: pa.StructType, columns: list[pa.Array], owners: Integers, size: int
) -> pa.ListArray:
    starts = np.searchsorted(owners, np.arange(size + 1)).astype(np.int32)
    items = pa.StructArray.from_arrays(
        [_typed(column, part.type) for column, part in zip(columns, kind, strict=True)],
        fields=list(kind),
    )
    return pa.ListArray.from_arrays(pa.array(starts), items)
