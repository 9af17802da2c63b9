"""Where the brackets of JSON text stand, found with numpy a piece at a time, without parsing."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ingest.formats.columns import Integers

Flags = npt.NDArray[np.bool_]

_OPEN, _CLOSE, _QUOTE, _NEWLINE, _BACKSLASH = 1, 2, 3, 4, 5
_KINDS = np.zeros(256, np.uint8)
for _characters, _kind in (
    (b"{[", _OPEN),
    (b"}]", _CLOSE),
    (b'"', _QUOTE),
    (b"\n", _NEWLINE),
    (b"\\", _BACKSLASH),
):
    _KINDS[np.frombuffer(_characters, np.uint8)] = _kind


@dataclass(frozen=True)
class Brackets:
    """Brackets outside strings, in order.

    Attributes:
        at: byte offset of each.
        step: +1 where it opens, -1 where it closes.
        is_at_line_start: whether it is the first byte of its line.
        bad_lines: byte offsets of newlines inside a string, which JSON does not allow.
    """

    at: Integers
    step: Integers
    is_at_line_start: Flags
    bad_lines: Integers

    def after(self, offset: int) -> "Brackets":
        """Return those at `offset` or behind it."""
        first = int(np.searchsorted(self.at, offset))
        bad = self.bad_lines[np.searchsorted(self.bad_lines, offset) :]
        return Brackets(self.at[first:], self.step[first:], self.is_at_line_start[first:], bad)


@dataclass(frozen=True)
class State:
    """What one piece leaves to the next: how far it came, and whether a string is open."""

    offset: int = 0
    is_in_string: bool = False
    is_line_start: bool = True


NOTHING = Brackets(
    np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.bool_), np.zeros(0, np.int64)
)


def scan(piece: bytes, state: State) -> tuple[Brackets, State]:
    """Return the brackets of `piece`, which must not end in a backslash, and what follows.

    A string ends with its line at the latest: a lost quote harms no other line.
    """
    data = np.frombuffer(piece, np.uint8)
    kinds_of_all = _KINDS[data]
    at = np.flatnonzero(kinds_of_all)
    kinds = kinds_of_all[at]
    quotes = np.cumsum(_are_quotes(at, kinds), dtype=np.int64) + int(state.is_in_string)
    is_newline = kinds == _NEWLINE
    # Quotes are counted from the last newline on; the count at each newline never falls.
    before_line = np.maximum.accumulate(np.where(is_newline, quotes, 0)) if len(at) else quotes
    before_newline = np.concatenate([np.zeros(1, np.int64), before_line[:-1]])[: len(at)]
    is_bad = is_newline & ((quotes - before_newline) % 2 == 1)
    is_bracket = (kinds <= _CLOSE) & ((quotes - before_line) % 2 == 0)
    found = at[is_bracket]
    ahead = data[np.maximum(found - 1, 0)] == ord("\n")
    if len(found) and found[0] == 0:
        ahead[0] = state.is_line_start
    brackets = Brackets(
        found + state.offset,
        np.where(kinds[is_bracket] == _OPEN, 1, -1).astype(np.int64),
        ahead,
        at[is_bad] + state.offset,
    )
    is_in_string = bool((quotes[-1] - before_line[-1]) % 2) if len(at) else state.is_in_string
    return brackets, State(
        state.offset + len(piece), is_in_string, piece[-1:] == b"\n" if piece else False
    )


def joined(parts: list[Brackets]) -> Brackets:
    """Return the brackets of pieces that follow one another."""
    if len(parts) == 1:
        return parts[0]
    return Brackets(
        np.concatenate([part.at for part in parts]),
        np.concatenate([part.step for part in parts]),
        np.concatenate([part.is_at_line_start for part in parts]),
        np.concatenate([part.bad_lines for part in parts]),
    )


def _are_quotes(at: Integers, kinds: npt.NDArray[np.uint8]) -> Flags:
    """Return which marks are quotes that no backslash escapes."""
    is_quote: Flags = kinds == _QUOTE
    is_backslash = kinds == _BACKSLASH
    if not is_backslash.any():
        return is_quote
    follows = np.zeros(len(at), np.bool_)
    follows[1:] = (at[1:] - at[:-1] == 1) & is_backslash[:-1]
    # A run of backslashes escapes what follows it where their number is odd.
    run_start = np.maximum.accumulate(np.where(is_backslash & ~follows, at, -1))
    is_escaped: Flags = follows & ((at - np.roll(run_start, 1)) % 2 == 1)
    return np.logical_and(is_quote, ~is_escaped)
