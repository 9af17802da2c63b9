"""From brackets to records: which values are whole at one level of nesting, and which are not."""

import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ingest.formats.columns import Integers
from ingest.formats.json_scan import Brackets

# A line that starts so starts a record, whatever was open before it.
_SURE_START = re.compile(rb'\{[ \t]*"(resourceSpans|resource_spans|batches|resourceLogs|traceID)"')
_KEY_BYTES = 64
# {"trace": {"resourceSpans": [
_DEEPEST_LIST = 3


@dataclass(frozen=True)
class Level:
    """Where reading stands in a record: the text before, and how many brackets it leaves open."""

    before: bytes = b""
    depth: int = 0


@dataclass(frozen=True)
class Records:
    """What a piece of text holds at one level; all places count from the start of the text.

    Attributes:
        starts: where each whole record starts.
        ends: where each ends, exclusive.
        broken: start and end of records that are not whole though another follows.
        inside_end: end of the record that was open before the text, where it ends here.
        is_inside_broken: whether that end is only the start of another record.
        open_at: start of the record open at the end of the text, if one is.
        outer_lists: place and depth of its lists near the top, in order.
        next_line_start: a bracket at a line's start behind `open_at`, if there is one.
        list_end: where the list that the text stands in is closed.
        done: end of the last record, or of what was open before.
    """

    starts: Integers
    ends: Integers
    broken: list[tuple[int, int]]
    inside_end: int | None
    is_inside_broken: bool
    open_at: int | None
    outer_lists: list[tuple[int, int]]
    next_line_start: int | None
    list_end: int | None
    done: int

    def gaps(self, text: bytes, blanks: bytes, *, is_last: bool) -> list[tuple[int, int]]:
        """Return start and end of each stretch between records that holds more than `blanks`."""
        broken = np.array(self.broken, np.int64).reshape(-1, 2)
        left = np.concatenate([[self.inside_end or 0], self.ends, broken[:, 1]])
        right = np.concatenate([self.starts, broken[:, 0]])
        if self.inside_end is None and self.open_at == 0:
            return []
        if self.open_at is not None:
            right = np.append(right, self.open_at)
        elif self.list_end is not None:
            right = np.append(right, self.list_end)
        else:
            # Text behind the last record may go on in the next piece.
            right = np.append(right, len(text) if is_last else self.done)
        left, right = np.sort(left), np.sort(right)
        wide = np.flatnonzero(right - left > 0)
        return [
            (int(left[place]), int(right[place]))
            for place in wide
            if text[left[place] : right[place]].strip(blanks)
        ]


def records_of(
    brackets: Brackets, text: bytes, offset: int, inside: Level, *, is_list: bool
) -> Records:
    """Return the records of `text`, which starts at byte `offset` of the dump.

    Args:
        brackets: those of the text.
        text: what stands at this level, from a place where only `inside` is open.
        offset: byte of the dump where the text starts.
        inside: the record that was open before.
        is_list: whether the level is a list, which ends at a bracket too many.
    """
    before, after, close = _depths(brackets, text, offset, inside.depth, is_list=is_list)
    at = brackets.at[: len(after)] - offset
    step = brackets.step[: len(after)]
    opens = np.flatnonzero((step == 1) & (before == 0))
    closes = np.flatnonzero((step == -1) & (before == 1))
    inside_end, is_inside_broken = None, False
    if inside.depth:
        first_open = opens[0] if len(opens) else len(at)
        if len(closes) and closes[0] < first_open:
            inside_end = int(at[closes[0]]) + 1
            closes = closes[1:]
        elif len(opens):
            inside_end, is_inside_broken = int(at[first_open]), True
    next_close = np.searchsorted(closes, opens)
    limit = np.append(opens[1:], len(at))
    close_of = np.append(closes, len(at))[next_close]
    is_whole = close_of < limit
    starts, ends = at[opens[is_whole]], at[close_of[is_whole]] + 1
    begins = np.append(at[opens], len(text) if close is None else close)
    broken = [(int(begins[each]), int(begins[each + 1])) for each in np.flatnonzero(~is_whole)]
    open_at, open_token = None, 0
    if close is None:
        if broken and not is_whole[-1]:
            open_at, open_token = broken.pop()[0], int(opens[-1])
        elif inside.depth and inside_end is None:
            open_at = 0
    done = int(ends[-1]) if len(ends) else (inside_end or 0)
    if broken:
        done = max(done, broken[-1][1])
    lists, line_start = [], None
    if open_at is not None:
        lists = _outer_lists(text, at[open_token:], step[open_token:], after[open_token:])
        lines = at[brackets.is_at_line_start[: len(at)] & (step == 1)]
        lines = lines[lines > open_at]
        line_start = int(lines[0]) if len(lines) else None
    return Records(
        starts,
        ends,
        broken,
        inside_end,
        is_inside_broken,
        open_at,
        lists,
        line_start,
        close,
        done,
    )


def _outer_lists(
    text: bytes, at: Integers, step: Integers, after: Integers
) -> list[tuple[int, int]]:
    found = np.flatnonzero((step == 1) & (after <= _DEEPEST_LIST))
    return [
        (int(at[each]), int(after[each]))
        for each in found.tolist()
        if text[at[each] : at[each] + 1] == b"["
    ]


def _depths(
    brackets: Brackets, text: bytes, offset: int, depth: int, *, is_list: bool
) -> tuple[Integers, Integers, int | None]:
    """Return depths before and after each bracket, up to where the list is closed, and that place.

    Depth starts anew at a line that starts a record for certain, or that is the first to start one
    after a line in which a string did not end.
    """
    sure = _sure_starts(brackets, text, offset)
    before, after = _running(brackets.step, depth, is_list=is_list)
    if (before[sure] != 0).any():
        before, after = _restarted(brackets.step, sure, depth, is_list=is_list)
    close = None
    if is_list and len(over := np.flatnonzero(after < 0)):
        close = int(brackets.at[over[0]]) - offset
        before, after = before[: over[0]], after[: over[0]]
    return before, after, close


def _running(step: Integers, depth: int, *, is_list: bool) -> tuple[Integers, Integers]:
    after = np.cumsum(step) + depth
    if not is_list and len(after):
        # A bracket too many at the top level closes nothing.
        after = after - np.minimum(np.minimum.accumulate(after), 0)
    before = np.concatenate([np.full(1, depth, np.int64), after[:-1]])[: len(after)]
    return before, after


def _restarted(
    step: Integers, starts: Integers, depth: int, *, is_list: bool
) -> tuple[Integers, Integers]:
    edges = [0, *starts[starts > 0].tolist(), len(step)]
    parts = [
        _running(step[left:right], depth if left == 0 and 0 not in starts else 0, is_list=is_list)
        for left, right in pairwise(edges)
    ]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _sure_starts(brackets: Brackets, text: bytes, offset: int) -> Integers:
    lines = np.flatnonzero(brackets.is_at_line_start & (brackets.step == 1))
    places = (brackets.at[lines] - offset).tolist()
    is_sure: npt.NDArray[np.bool_] = np.fromiter(
        (_SURE_START.match(text, place, place + _KEY_BYTES) is not None for place in places),
        np.bool_,
        len(places),
    )
    after_bad = np.searchsorted(brackets.at[lines], brackets.bad_lines)
    is_sure[after_bad[after_bad < len(lines)]] = True
    return lines[is_sure]
