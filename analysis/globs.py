"""The patterns of a contract: what a set of characters holds, and whether two patterns meet."""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

# What stands for "any character" when two patterns are laid over each other.
_ANY, _MANY = "?", "*"
# Patterns whose lengths multiply to more than this are not laid over each other.
MOST_PLACES = 250_000


def set_end(pattern: str, place: int) -> int | None:
    """Return where the set of characters that begins at a place ends, None where none does.

    As `fnmatch` reads it: a bracket that comes first, or after the !, is one of the characters.
    """
    if pattern[place] != "[":
        return None
    first = place + 2 if pattern[place + 1 : place + 2] == "!" else place + 1
    end = pattern.find("]", first + 1)
    return end if end > 0 else None


def ranges(inside: str) -> Iterator[tuple[str, str]]:
    """Yield the first and last character of what a set holds, without brackets and the !."""
    place = 0
    while place < len(inside):
        is_range = inside[place + 1 : place + 2] == "-" and place + 2 < len(inside)
        last = inside[place + 2] if is_range else inside[place]
        # A range from high to low holds nothing.
        if inside[place] <= last:
            yield inside[place], last
        place += 3 if is_range else 1


def expression(pattern: str) -> str:
    """Return a pattern as an expression of RE2 that matches the same whole texts."""
    return "".join(map(of_token, tokens(pattern)))


def of_token(token: str) -> str:
    """Return one character of a pattern, or a set of characters, as RE2 writes it."""
    if len(token) == 1:
        return {_MANY: ".*", _ANY: "."}.get(token, re.escape(token))
    inside = token[1:-1]
    is_negated = inside.startswith("!")
    parts = [
        _escaped(first) if first == last else f"{_escaped(first)}-{_escaped(last)}"
        for first, last in ranges(inside.removeprefix("!"))
    ]
    if not parts:
        return "." if is_negated else r"[^\s\S]"
    return f"[{'^' * is_negated}{''.join(parts)}]"


def _escaped(char: str) -> str:
    return f"\\{char}" if char in "\\^[]-" else char


def meet(one: str, other: str) -> bool:
    """Return whether some name matches both globs.

    Two sets of characters such as [ab] are taken to meet, and so are patterns too long to be tried.
    """
    left, right = tokens(one), tokens(other)
    if len(left) * len(right) > MOST_PLACES:
        return True
    # Pairs of places that both patterns can have reached after the same characters.
    seen, ahead = {(0, 0)}, [(0, 0)]
    while ahead:
        i, j = ahead.pop()
        if i == len(left) and j == len(right):
            return True
        steps = []
        is_left_many = i < len(left) and left[i] == _MANY
        is_right_many = j < len(right) and right[j] == _MANY
        if is_left_many:
            steps += [(i + 1, j), (i, j + 1)]
        if is_right_many:
            steps += [(i, j + 1), (i + 1, j)]
        is_inside = i < len(left) and j < len(right)
        if is_inside and not (is_left_many or is_right_many) and _alike(left[i], right[j]):
            steps.append((i + 1, j + 1))
        for step in steps:
            if step[0] <= len(left) and step[1] <= len(right) and step not in seen:
                seen.add(step)
                ahead.append(step)
    return False


def tokens(pattern: str) -> list[str]:
    """Return the characters of a pattern one by one, a set of characters as one."""
    told: list[str] = []
    place = 0
    while place < len(pattern):
        end = set_end(pattern, place)
        token = pattern[place : end + 1] if end is not None else pattern[place]
        # Two stars are one, or long rows of them would take for ever.
        if not (token == _MANY and told and told[-1] == _MANY):
            told.append(token)
        place += len(token)
    return told


def _alike(one: str, other: str) -> bool:
    if _ANY in (one, other) or (len(one) > 1 and len(other) > 1):
        return True
    pattern, text = (one, other) if len(one) > 1 else (other, one)
    return fnmatchcase(text, pattern) if len(pattern) > 1 else pattern == text
