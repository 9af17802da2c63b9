"""Texts that look like keys, tokens or passwords: found and masked, under whichever name."""

import math
import re
from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

# Together these find every text that `masked` would change, and some others. They are apart, for
# the long run alone makes the other expression five times slower, and few texts are as long.
_SUSPECT = (
    r"eyJ[\w-]{8}|\b[sp]k-[\w-]{16}|\b[sprw][hk]_(?:live|test)_\w{10}|\b(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|(?i:bearer)\s+\S{8}|-----BEGIN |\bgh[opsru]_\w{20}|github_pat_\w{20}|glpat-[\w-]{16}"
    r"|xox[a-z]-[\w-]{10}|AIza[\w-]{30}|\bhf_\w{20}|ya29\.[\w-]{20}|://[^/\s@]+@"
    r"|(?i:passw(?:or)?d|pwd|secret|credentials?|api[_-]?key|(?:access|auth|session|account)[_-]?"
    r"(?:token|key)|authorization)[\"']?\s*[=:]"
)
_LONG_RUN = r"[A-Za-z0-9+/_=-]{40}"
_RUN_BYTES = 40

_ONE_SUSPECT = re.compile(f"{_SUSPECT}|{_LONG_RUN}", re.ASCII)
# Arrow compiles the expression for every call, which takes as long as looking at this many texts.
_FEW = 128

# Nothing shorter than this is looked at: `pwd=secret12`.
MIN_BYTES = 12

_CERTAIN = re.compile(
    r"""
    \beyJ[\w-]{8,}(?:\.[\w-]*){0,4}
  | \b[sp]k-[\w-]{16,}
  | \b[sprw][hk]_(?:live|test)_\w{10,}
  | \b(?:AKIA|ASIA)[A-Z0-9]{16}
  | (?<=[Bb][Ee][Aa][Rr][Ee][Rr]\s)\s*\S{8,}
  | -----BEGIN\ .*?(?:-----END[^-]*-----|\Z)
  | \bgh[opsru]_\w{20,} | github_pat_\w{20,} | glpat-[\w-]{16,}
  | xox[a-z]-[\w-]{10,} | AIza[\w-]{30,} | \bhf_\w{20,} | ya29\.[\w-]{20,}
  | (?<=://)[^/\s@]+(?=@)
  """,
    re.VERBOSE | re.DOTALL,
)
_ASSIGNED = re.compile(
    r"((?:passw(?:or)?d|pwd|secret|credentials?|api[_-]?key|(?:access|auth|session|account)[_-]?"
    r"(?:token|key))[\"']?\s*[=:]\s*[\"']?|authorization[\"']?\s*[=:]\s*[\"']?(?:\w+\s+)?)"
    r"[^\s\"'&;,}?][^\s\"'&;,}]*",
    re.IGNORECASE,
)
_RUN = re.compile(r"[A-Za-z0-9+/_=-]{40,}")
_HEX = re.compile(r"[0-9a-fA-F]{40}")
_PARTS = re.compile(r"[+/_=-]+")

# Random base64 of 40 characters has about 4.9 bits a character, paths and names about 4.
_RANDOM_BITS = 4.4


def suspects(texts: pa.StringArray) -> pa.BooleanArray:
    """Return which texts may hold something that `masked` would change; few others are among."""
    if len(texts) > _FEW:
        found = pc.match_substring_regex(texts, _SUSPECT)
        is_long = pc.greater_equal(pc.binary_length(texts), _RUN_BYTES)
        if not pc.any(is_long).as_py():
            return found
        has_run = pc.match_substring_regex(texts.filter(is_long), _LONG_RUN)
        return pc.or_(found, pc.replace_with_mask(is_long, is_long, has_run))
    return pa.array(
        [bool(text and _ONE_SUSPECT.search(text)) for text in texts.to_pylist()], pa.bool_()
    )


def masked(text: str, *, is_named: bool = False) -> str:
    """Return the text with `?` for every part that looks like a key, token or password.

    Args:
        text: any text.
        is_named: the text is what a column of ours asks for, where digests and ids are at home:
            long random digits alone then do not make a secret.
    """
    text = _ASSIGNED.sub(r"\1?", _CERTAIN.sub("?", text))
    return text if is_named else _RUN.sub(_unless_words, text)


def _unless_words(run: re.Match[str]) -> str:
    text = run[0]
    return "?" if _HEX.search(text) or _is_random(text) else text


def _is_random(text: str) -> bool:
    longest = max(_PARTS.split(text), key=len)
    if len(longest) < 12 or not any(each.isdigit() for each in longest):
        return False
    if longest.lower() == longest or longest.upper() == longest:
        return len(longest) >= 40
    bits = -sum(
        count / len(text) * math.log2(count / len(text)) for count in Counter(text).values()
    )
    return bits >= _RANDOM_BITS
