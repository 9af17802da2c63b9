"""Where the common rules of the field give a wrong answer, and what is answered here instead."""

import sys
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.stats

from analysis import ancestry, changes, measures, stats
from analysis.comparability import Design, Unit, Windows
from analysis.scope import Scope
from analysis.stats import Verdict


@dataclass(frozen=True)
class Child:
    name: str
    start: float
    end: float


def skipping(root, children):
    """Return self times by the rule that goes on to who ended before the last one began.

    Trace viewers walk so: a child that ends where the next one begins, or a little later, is not
    before it, and its time is charged to the caller.
    """
    told, at = {"root": 0.0}, root.end
    while before := [child for child in children if child.end < at]:
        last = max(before, key=lambda child: child.end)
        told["root"] += at - last.end
        told[last.name] = last.end - last.start
        at = last.start
    told["root"] += at - root.start
    return told


@pytest.mark.parametrize("overlap_ms", [0, 0.01])
def test_children_that_touch_or_overlap_a_little_keep_their_time(model, overlap_ms):
    drawn = model(f"""
agent root 0..100
  tool a  10..{50 + overlap_ms}
  tool b  50..90
""")
    kinds = drawn.ask("path_kinds").set_index("kind")["self_ms"]
    children = [Child("a", 10, 50 + overlap_ms), Child("b", 50, 90)]

    assert skipping(Child("root", 0, 100), children) == {"root": 60, "b": 40}
    assert dict(kinds) == {"none": 20, "tool": 80}


def test_a_chain_of_100_000_spans_has_a_top():
    up = np.arange(-1, 99_999)

    def climbed(place):
        return place if up[place] == ancestry.NOBODY else climbed(up[place])

    with pytest.raises(RecursionError):
        climbed(99_999)
    top, steps = ancestry.tops(up)
    assert (top[-1], steps[-1]) == (0, 99_999)
    assert sys.getrecursionlimit() < 99_999


def test_a_slower_tail_behind_a_faster_body_is_slower():
    """The body takes 5 % less and the slowest 8 % take 40 % more: ranks say nothing changed."""
    rng = np.random.default_rng(5)
    before, after = np.exp(rng.normal(0, 0.8, (2, 2000))) * 100
    after = np.where(after > np.quantile(after, 0.92), 1.4 * after, 0.95 * after)
    window = Windows(Design.CONCURRENT, Unit.TRACE, 3, 3)
    sides = [stats.sample(side, np.arange(2000)) for side in (before, after)]
    moved = changes.change(*sides, 0.95, window, margin=1.05)
    ranks = scipy.stats.mannwhitneyu(before, after)

    print(f"rank test p = {ranks.pvalue:.2f}; p95 {moved.ratio:.2f} times")  # noqa: T201
    assert ranks.pvalue > 0.05
    assert moved.label is Verdict.SLOWER


def test_the_percentile_of_a_day_is_no_mean_of_its_hours():
    """A quiet hour in which every call is slow weighs as much as a busy one in a mean of p95s."""
    busy, quiet = np.full(990, 10.0), np.full(10, 1000.0)
    whole = stats.percentile(stats.sample(np.r_[busy, quiet], np.arange(1000)), 0.95)

    assert np.mean([np.quantile(hour, 0.95) for hour in (busy, quiet)]) == 505
    assert whole.value == 10


FAILED = "http_server POST:/ask 0..100 ! service_name=front{weight}\n  agent a 5..95{weight}\n"
WELL = FAILED.replace("!", "")


def test_a_store_that_keeps_what_failed_is_not_believed(model):
    """Of 1,060 requests 60 failed; a tail sampler kept these and one in a hundred of the others."""
    untold = model(kept="\n".join([FAILED.format(weight="")] * 60 + [WELL.format(weight="")] * 10))
    told = model(
        kept="\n".join([FAILED.format(weight="")] * 60 + [WELL.format(weight=" weight=100")] * 10)
    )
    (naive,) = measures.ask(untold, "tails_end_to_end", Scope()).itertuples()
    (weighed,) = measures.ask(told, "tails_end_to_end", Scope()).itertuples()

    assert naive.failed_ratio == pytest.approx(60 / 70)
    assert naive.failed_ratio_grade == "insufficient"
    assert weighed.failed_ratio == pytest.approx(60 / 1060)
    assert weighed.failed_ratio_lower < 60 / 1060 < weighed.failed_ratio_upper
