"""What of a value may enter the lake: content to length and hash, persons to a hash, URLs bare."""

import hashlib
import re

# Enough of a sha256 to tell values apart, short enough to store by the million.
HASH_DIGITS = 32
MAX_MESSAGE_CHARACTERS = 200

# An unlisted text this long is content, whatever its key: nobody names things at such length.
MAX_TEXT_CHARACTERS = 2_048

_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`|“[^”]*”|‘[^’]*’")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_EMAIL = re.compile(r"[^\s@<>\"']+@[^\s@<>\"']+\.[^\s@<>\"']+")
_URL = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*:)?(//)?([^/?#]*)([^?#]*)")


def sha256(text: str) -> str:
    """Return the first digits of the text's sha256 in hex."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:HASH_DIGITS]


def message(text: str) -> str | None:
    """Return the first line with quoted strings, mail addresses and numbers masked, cut short."""
    lines = text.strip().splitlines()
    if not lines:
        return None
    # An open quote at the cut would hide its end, so more is masked than is kept.
    line = _QUOTED.sub("?", lines[0][: 4 * MAX_MESSAGE_CHARACTERS])
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
