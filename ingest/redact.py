"""What of a value may enter the lake: content to length and hash, persons to a hash, URLs bare."""

import hashlib
import re

from ingest import credentials

# A content kept by request may be long, but not without end.
MAX_KEPT_CHARACTERS = 1 << 20

# Enough of a sha256 to tell values apart, short enough to store by the million.
HASH_DIGITS = 16
MAX_MESSAGE_CHARACTERS = 200
MAX_NAME_CHARACTERS = 1_024
_STATE_CHARACTERS = 1_024  # W3C asks to carry 512

# An unlisted text this long is content, whatever its key: nobody names things at such length.
MAX_TEXT_CHARACTERS = 2_048

_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`|“[^”]*”|‘[^’]*’")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_EMAIL = re.compile(r"[^\s@<>\"']+@[^\s@<>\"']+\.[^\s@<>\"']+")

# Names that formats give their own fields; they tell what a record is and nothing of what it says.
_FIELD_NAMES = """
    resourceSpans resource_spans resource instrumentationLibrarySpans scopeSpans scope_spans scope
    schemaUrl spans attributes key value stringValue string_value intValue int_value doubleValue
    double_value boolValue bool_value bytesValue bytes_value arrayValue array_value kvlistValue
    kvlist_value values name version traceId trace_id spanId span_id parentSpanId parent_span_id
    traceState trace_state flags kind startTimeUnixNano start_time_unix_nano endTimeUnixNano
    end_time_unix_nano start_time end_time events timeUnixNano time_unix_nano links status code
    message status_code description droppedAttributesCount droppedEventsCount droppedLinksCount
    resourceLogs resourceMetrics scopeLogs scopeMetrics logRecords metrics body
    data traceID spanID parentSpanID operationName references refType startTime duration tags type
    logs timestamp fields processID processes serviceName process warnings total limit offset errors
    parentId localEndpoint remoteEndpoint ipv4 ipv6 port annotations debug shared id context
    trace_flags parent_id batches instrumentationLibrary trace traces
"""
_FIELDS = frozenset(_FIELD_NAMES.split())
MAX_SAMPLE_CHARACTERS = 120
_SAMPLE_BYTES = 4_096
_PIECE = re.compile(
    r"""
    "(?P<text>(?:[^"\\]|\\.)*)(?:"|\Z) | (?P<mark>[{}\[\]:,]) | (?P<blank>[\s\x00-\x20\x7f-\xa0]+)
  | (?P<word>(?:true|false|null)(?![^\s{}\[\]:,"])) | (?P<other>[^\s\x00-\x20\x7f-\xa0{}\[\]:,"]+)
    """,
    re.VERBOSE | re.DOTALL,
)
_URL = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*:)?(//)?([^/?#]*)([^?#]*)")


def sha256(text: str) -> str:
    """Return the first digits of the text's sha256 in hex."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:HASH_DIGITS]


def sample(data: bytes, *, is_text: bool) -> str:
    """Return the shape of a raw record in at most 120 characters, and nothing of what it says.

    In text only the field names of trace formats, brackets and `true`, `false`, `null` stay; all
    else becomes `?`. Of bytes the length and the first four in hex are told.
    """
    if not is_text:
        return f"{len(data):,} bytes, starting {data[:4].hex(' ')}" if data else "0 bytes"
    text = data[:_SAMPLE_BYTES].decode(errors="replace").lstrip("\ufeff")
    shape = _PIECE.sub(_shape, text).strip()
    is_cut = len(data) > _SAMPLE_BYTES or len(shape) > MAX_SAMPLE_CHARACTERS
    return shape[: MAX_SAMPLE_CHARACTERS - 1] + "…" if is_cut else shape


def _shape(piece: re.Match[str]) -> str:
    match piece.lastgroup:
        case "text":
            return f'"{piece["text"]}"' if piece["text"] in _FIELDS else '"?"'
        case "blank":
            return " "
        case "other":
            return "?"
        case _:
            return piece[0]


def cut(text: str, characters: int = MAX_NAME_CHARACTERS) -> str:
    """Return the text, or its start with its length and hash if it is longer than `characters`."""
    if len(text) <= characters:
        return text
    return f"{text[:characters]}… ({len(text):,} characters, sha256 {sha256(text)})"


def name(text: str) -> str:
    """Return the name of a span, an event or an attribute, cut and without secrets."""
    return credentials.masked(cut(text), is_named=True)


_CODE = re.compile(
    r"\b(?:error[ _]code|status[ _]?code|status|HTTP(?:/\d(?:\.\d)?)?)"
    r"(?:[\"']?\s*[:=]\s*|\s+)([45]\d\d)\b"
    r"|\b([45]\d\d) (?:Client|Server) Error\b",
    re.IGNORECASE,
)


def error_code(text: str) -> int | None:
    """Return the HTTP status from 400 to 599 that a message names, null where it names none."""
    found = _CODE.search(text[: 4 * MAX_MESSAGE_CHARACTERS])
    return int(found[1] or found[2]) if found else None


def sampling(trace_state: str) -> str | None:
    """Return OpenTelemetry's own member of a tracestate, `ot=...`: vendors' may hold anything."""
    members = (member.strip() for member in trace_state[:_STATE_CHARACTERS].split(","))
    return next((member for member in members if member.startswith("ot=")), None)


def message(text: str) -> str | None:
    """Return the first line with what may name a person or open a door masked, cut short.

    Quoted strings, mail addresses, numbers and secrets become `?`.
    """
    lines = text.strip().splitlines()
    if not lines:
        return None
    # An open quote at the cut would hide its end, so more is masked than is kept.
    line = _QUOTED.sub("?", credentials.masked(lines[0][: 4 * MAX_MESSAGE_CHARACTERS]))
    line = _NUMBER.sub("?", _EMAIL.sub("?", line))
    return line[:MAX_MESSAGE_CHARACTERS]


def url(text: str) -> str:
    """Return a URL or path without user, password, query and fragment."""
    found = _URL.match(text)
    if found is None:
        return ""
    scheme, slashes, authority, path = (part or "" for part in found.groups())
    if slashes:
        authority = authority.rpartition("@")[2]
    return f"{scheme}{slashes}{authority}{path}"


def url_path(text: str) -> str | None:
    """Return the path of a URL or request target, null where there is none."""
    found = _URL.match(text)
    if found is None:
        return None
    if found[2]:
        return found[4] or "/"
    return re.split(r"[?#]", text, maxsplit=1)[0] or None


def host(text: str) -> str | None:
    """Return the host of an address, `host:port` or URL, in lower case."""
    return _host_and_port(text)[0]


def port(text: str) -> int | None:
    """Return the port of an address or URL, or the number the text is."""
    if text.isascii() and text.isdigit():
        return int(text) if int(text) <= 65_535 else None
    return _host_and_port(text)[1]


def _host_and_port(text: str) -> tuple[str | None, int | None]:
    authority = text
    if "://" in text:
        found = _URL.match(text)
        authority = found[3] if found else ""
    authority = authority.partition("/")[0].rpartition("@")[2]
    if authority.startswith("["):
        name, _, rest = authority[1:].partition("]")
        digits = rest.removeprefix(":")
    elif authority.count(":") == 1:
        name, _, digits = authority.partition(":")
    else:
        name, digits = authority, ""
    is_port = digits.isascii() and digits.isdigit() and int(digits) <= 65_535
    return name.lower() or None, int(digits) if is_port else None
