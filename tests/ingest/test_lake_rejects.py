"""Refusals are counted in full; of each reason the first twenty are shown."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.report import MAX_EXAMPLES, Example, Rejects

ADDED = st.lists(
    st.tuples(st.sampled_from(["no id", "no time"]), st.integers(1, 5), st.text("ab", max_size=3)),
    max_size=60,
)


@given(added=ADDED, cut=st.integers(0, 60))
def test_two_counts_added_up_are_as_one_count_of_all(
    added: list[tuple[str, int, str]], cut: int
) -> None:
    def count(part: list[tuple[str, int, str]]) -> Rejects:
        rejects = Rejects()
        for place, (reason, times, sample) in enumerate(part):
            rejects.add(reason, place=f"{sample}{place % 7}", mend="m", count=times, sample=sample)
        return rejects

    whole, first = count(added), count(added[:cut])
    rest = Rejects()
    for place, (reason, times, sample) in list(enumerate(added))[cut:]:
        rest.add(reason, place=f"{sample}{place % 7}", mend="m", count=times, sample=sample)
    first.absorb(rest)

    assert list(first) == list(whole)
    assert whole.total == sum(times for _, times, _ in added)
    for reject in whole:
        shown = [
            Example(f"{sample}{place % 7}", sample)
            for place, (reason, _, sample) in enumerate(added)
            if reason == reject.reason
        ]
        assert reject.examples == tuple(shown[:MAX_EXAMPLES])
        assert (reject.place, reject.sample) == (shown[0].place, shown[0].sample)
