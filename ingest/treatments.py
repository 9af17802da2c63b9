"""What may be kept of a value, said by its key alone; `conventions` lists the patterns."""

import re
from enum import IntEnum, auto
from functools import lru_cache

from ingest import conventions


class How(IntEnum):
    """How a value is made safe before the map takes it."""

    PLAIN = 0
    DROP = auto()
    SAID = auto()
    PERSON = auto()
    URL = auto()
    MESSAGE = auto()
    QUERY = auto()
    SUSPECT = auto()  # of the value, not of the key


def _any_of(*patterns: str) -> re.Pattern[str]:
    # A pattern may start with `(?i)`, which must stand for itself alone.
    return re.compile(
        "|".join(
            f"(?i:{pattern[4:]})" if pattern.startswith("(?i)") else f"(?:{pattern})"
            for pattern in patterns
        )
    )


_TREATMENTS = (
    (How.DROP, _any_of(*conventions.DROPPED, *conventions.URL_QUERIES)),
    (How.SAID, _any_of(*conventions.CONTENT)),
    (How.PERSON, _any_of(*conventions.PERSONS)),
    (How.URL, _any_of(*conventions.URLS)),
    (How.MESSAGE, _any_of(*conventions.MESSAGES)),
    (How.QUERY, _any_of(*conventions.QUERIES)),
)


@lru_cache(maxsize=20_000)
def treatment(key: str) -> How:
    """Return how the values of a key are treated, wherever it stands."""
    for how, pattern in _TREATMENTS:
        if pattern.search(key):
            return how
    return How.PLAIN
