"""Cells that names, events and pairs of columns say together, after single keys had their say."""

import re
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest import redact
from ingest.attributes import Attributes, find, select
from ingest.cells import on_distinct
from ingest.conventions import COLUMNS, EVENT_COLUMNS, NUMBERED_MESSAGES, Column, Meaning

Integers = npt.NDArray[np.int64]

_TOOL_SPAN = r"^(?:execute_tool|running tool:?) (?P<tool>.+)$"
_RPC_METHOD = r"^/?(?P<service>[^/ ]+)/(?P<method>[^/ ]+)$"
_NUMBERED = [re.compile(pattern) for pattern in NUMBERED_MESSAGES]
_STORES = pa.array(["redis", "valkey", "memcached"], pa.string())
_OF_EVENTS = tuple(
    Column(column.name, EVENT_COLUMNS[column.name][1], column.meaning)
    for column in COLUMNS
    if column.name in EVENT_COLUMNS
)
_FIRST_ANSWER = Column(
    "first answer", ("langfuse.observation.completion_start_time",), Meaning.EPOCH_NS
)


def from_events(
    cells: dict[str, pa.Array], events: Attributes, names: pa.StringArray, owners: Integers
) -> None:
    """Fill what a span left empty from the first of its events that says it.

    Args:
        cells: the columns by name; changed here.
        events: attributes of the events.
        names: of the events.
        owners: position of each event's span, ascending.
    """
    found = find(events, _OF_EVENTS)
    for column in _OF_EVENTS:
        if column.name not in found:
            continue
        of_events, _ = select(events, column, found[column.name])
        is_it = pc.and_(of_events.is_valid(), pc.equal(names, EVENT_COLUMNS[column.name][0]))
        rows = np.flatnonzero(pc.fill_null(is_it, False).to_numpy(zero_copy_only=False))
        empty = cells[column.name]
        pick = np.full(len(empty), -1, dtype=np.int64)
        pick[owners[rows][::-1]] = rows[::-1]
        cells[column.name] = pc.coalesce(empty, of_events.take(pa.array(pick, mask=pick < 0)))


def derive(cells: dict[str, pa.Array], spans: Attributes, messages: pa.StringArray) -> None:
    """Fill what names and pairs of columns say together.

    Args:
        cells: the columns by name; changed here.
        spans: attributes of the spans.
        messages: status messages as written.
    """
    _name_tools(cells)
    if cells["rpc_system"].null_count < len(cells["rpc_system"]):
        _split_rpc(cells)
    is_tool = pc.or_(
        pc.fill_null(pc.equal(cells["vendor_kind"], "tool"), False),
        pc.fill_null(pc.starts_with(cells["operation"], "execute_tool"), False),
    )
    cells["args_hash"] = pc.coalesce(
        cells["args_hash"], pc.if_else(is_tool, cells["input_hash"], None)
    )
    is_store = pc.is_in(cells["db_system"], value_set=_STORES)
    if pc.any(is_store).as_py():
        bare = on_distinct(pc.if_else(is_store, cells["query_text"], None), _command, pa.string())
        cells["query_text"] = pc.if_else(is_store, bare, cells["query_text"])
    numbered = _numbered_messages(spans)
    if numbered is not None:
        cells["input_message_count"] = pc.coalesce(cells["input_message_count"], numbered)
    _time_first_answer(cells, spans)
    _read_error_codes(cells, messages)


def _name_tools(cells: dict[str, pa.Array]) -> None:
    encoded = cells["name"].dictionary_encode()
    tools = pc.struct_field(pc.extract_regex(encoded.dictionary, _TOOL_SPAN), "tool")
    if tools.null_count < len(tools):
        cells["tool_name"] = pc.coalesce(cells["tool_name"], tools.take(encoded.indices))


def _split_rpc(cells: dict[str, pa.Array]) -> None:
    names = cells["name"]
    is_mcp = pc.fill_null(pc.equal(cells["rpc_system"], "mcp"), False)
    for to, source in (("mcp_method", "rpc_method"), ("mcp_server", "rpc_service")):
        cells[to] = pc.coalesce(cells[to], pc.if_else(is_mcp, cells[source], None))
    has_rpc = cells["rpc_system"].is_valid()
    full = pc.coalesce(cells["rpc_method"], pc.if_else(pc.starts_with(names, "/"), names, None))
    split = pc.extract_regex(pc.if_else(has_rpc, full, None), _RPC_METHOD)
    method = pc.struct_field(split, "method")
    cells["rpc_service"] = pc.coalesce(cells["rpc_service"], pc.struct_field(split, "service"))
    cells["rpc_method"] = pc.coalesce(method, cells["rpc_method"])


def _command(text: str) -> str:
    word, blank, _ = text.partition(" ")
    return f"{word} ?" if blank else word


def _numbered_messages(spans: Attributes) -> pa.Array | None:
    numbers = np.array([_message_number(key) for key in spans.keys] or [0], dtype=np.int64)
    if not numbers.any():
        return None
    of_entries = numbers[spans.codes]
    rows = np.flatnonzero(of_entries)
    highest = np.zeros(spans.size, dtype=np.int64)
    np.maximum.at(highest, spans.owners[rows], of_entries[rows])
    return pa.array(highest, mask=highest == 0)


@lru_cache(maxsize=20_000)
def _message_number(key: str) -> int:
    for pattern in _NUMBERED:
        if found := pattern.match(key):
            return int(found[1][:12]) + 1
    return 0


def _time_first_answer(cells: dict[str, pa.Array], spans: Attributes) -> None:
    found = find(spans, (_FIRST_ANSWER,))
    if not found:
        return
    answered, _ = select(spans, _FIRST_ANSWER, found[_FIRST_ANSWER.name])
    after_ns = pc.subtract(answered, cells["start_ns"])
    is_within = pc.and_(
        pc.greater_equal(after_ns, 0), pc.less_equal(after_ns, cells["duration_ns"])
    )
    after_ms = pc.divide(after_ns.cast(pa.float64(), safe=False), 1e6)
    cells["first_chunk_ms"] = pc.coalesce(
        cells["first_chunk_ms"], pc.if_else(is_within, after_ms, None)
    )


def _read_error_codes(cells: dict[str, pa.Array], messages: pa.StringArray) -> None:
    """Leave `error_code` only where a span failed and no HTTP status was given."""
    size = len(messages)
    codes = cells["error_code"]
    if messages.null_count < size:
        codes = pc.coalesce(codes, on_distinct(messages, redact.error_code, pa.int64()))
    if codes.null_count == size:
        cells["error_code"] = codes
        return
    has_failed = pc.or_(
        pc.equal(cells["status"], "ERROR"),
        pc.or_(cells["exception_type"].is_valid(), cells["exception_message"].is_valid()),
    )
    is_asked = pc.and_(has_failed, cells["http_status"].is_null())
    cells["error_code"] = pc.if_else(is_asked, codes, None)
