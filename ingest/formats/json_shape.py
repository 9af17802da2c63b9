"""Whether JSON text stands line by line or not, told from its head."""

from typing import Any

from ingest.formats.json_records import parsed

# A request that a pretty-printed document holds may stand alone on a line, but indented.
_TOP_KEYS = (
    *(b"resourceSpans", b"resource_spans", b"resourceMetrics", b"resourceLogs", b"batches"),
    *(b"scopeSpans", b"traceID", b'"traceId"', b'"resource"'),
)


def are_lines(head: bytes) -> bool:
    """Say whether each line of `head` is a value of its own, as far as `head` shows.

    Text without any newline is one document; so is a list, be its elements on lines or not.
    """
    lines = [line for line in head.split(b"\n") if line.strip()]
    if not lines or (
        len(lines) == 1 and b"\n" not in head.strip(b" \t\r") and not head.endswith(b"\n")
    ):
        return False
    first = _value(lines[0])
    if isinstance(first, dict):
        return True
    # The last line of the head may be cut, unless it is the last of the dump.
    if isinstance(first, list) and len(lines) > 1:
        return lines[1].lstrip()[:1] in (b"{", b"[")
    if lines[0].lstrip()[:1] == b"[":
        return False
    return any(_is_request(line) for line in lines[1:])


def starts_like_json(head: bytes) -> bool:
    """Say whether `head` can only be JSON text, be it damaged further on."""
    start = head.lstrip(b" \t\r\n\x1e")
    while start[:1] == b"[":
        start = start[1:].lstrip()
    return start[:1] == b"{" and start[1:].lstrip()[:1] == b'"' and start[2:8].isascii()


def _value(line: bytes) -> Any:
    try:
        return parsed(line.strip())
    except ValueError:
        return None


def _is_request(line: bytes) -> bool:
    is_known = line.startswith(b"{") and any(key in line[:64] for key in _TOP_KEYS)
    return is_known and isinstance(_value(line), dict)
