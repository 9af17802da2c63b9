"""A drafted contract as YAML: the promises, and beside each what it rests on."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

from analysis import stats, words
from analysis.access import LATTICE
from analysis.contracts import ACCESSES, Contracts, Rule
from analysis.path_budgets import MATERIAL

_ARROWS = re.compile(r" (?:->|→)(?= )")


@dataclass(frozen=True)
class Timeout:
    """A time-out and what it would have cost; or, with `why_not`, none."""

    timeout_ms: float | None
    why_not: str = ""
    is_too_few: bool = False  # too few calls to tell
    is_told: bool = False
    given_up_ratio: float = math.nan  # of today's successes
    if_running_ratio: float = math.nan  # of the calls still running then, went well
    saved_ms: float = math.nan  # mean a call


@dataclass(frozen=True)
class Terms:
    """What the draft promises of one boundary, and what that rests on."""

    boundary_id: str
    caller: str
    kind: str
    callee: str
    calls: int
    units: int
    tail: stats.Estimate  # of single calls, at the quantile
    path: stats.Estimate  # of all calls of a request, on the critical path
    quantile: float | None
    budget_ms: float | None
    on_path_ms: float | None
    timeout: Timeout
    is_idempotent: bool | None
    slight_ms: float | None = None  # what it may take on the path, where no promise needs it
    why_not: str = ""
    earlier: Rule | None = None  # of an earlier contract that spoke of this boundary


@dataclass(frozen=True)
class Written:
    """What the head of the draft says.

    `downstream_ms` and `whole_ms` are what the budgets on the critical path add up to, for the
    share of the requests that `quantile` names; `..._at` are the quantiles of these budgets.
    """

    cohort: str
    pilot: str | None
    requests: int
    quantile: float
    sla_ms: float
    sla_reason: str
    success_ratio: float | None
    share_ratio: float
    downstream_ms: float
    downstream_at: str
    whole_ms: float
    whole_at: str
    given_up_ratio: float
    least_successes: int  # that tell a time-out


def render(
    head: Written, terms: Sequence[Terms], uses: pd.DataFrame, earlier: Contracts | None
) -> str:
    """Return the contract's text; the same input gives the same bytes.

    Args:
        head: What a request is promised.
        terms: The boundaries.
        uses: What agents touched, as `access.use` tells it.
        earlier: Of which is kept what no traffic tells: service, aliases, fallbacks, retries,
            whether calls may be repeated, sensitive resources, gates, documents, and
            acknowledgements, which speak of findings that only a check can tell to be gone.
    """
    lines = [
        *_head(head, earlier),
        *_too_few(head, terms),
        *_boundaries(head, terms),
        *_access(uses, earlier),
    ]
    if earlier is not None and earlier.gates:
        gates = ", ".join(f"{name}: {_percent(limit)}" for name, limit in earlier.gates.items())
        lines += ["", f"gates: {{{gates}}}"]
    if earlier is not None and earlier.openapi:
        lines += ["", "openapi:"]
        for each in earlier.openapi:
            names = f"service: {_quoted(each.service)}, file: {_quoted(each.file)}"
            lines.append(f"  - {{{names}}}")
    if earlier is not None and earlier.acknowledged:
        lines += ["", "acknowledged:", *_acknowledged(earlier)]
    return "\n".join(lines) + "\n"


def _acknowledged(earlier: Contracts) -> Iterator[str]:
    for each in earlier.acknowledged:
        yield f"  - finding: {_quoted(each.finding)}"
        yield f"    subject: {_quoted(each.subject)}"
        yield f"    owner: {_quoted(each.owner)}"
        yield f"    reason: {_quoted(each.reason)}"
        yield f"    until: {_quoted(each.until.isoformat())}"


def _head(head: Written, earlier: Contracts | None) -> Iterator[str]:
    yield f"# Drafted from {words.counted(head.requests, 'request')} of cohort {head.cohort}, which"
    yield "# keep every latency promise below with 95\u202f% confidence. Meant to be edited."
    if earlier is not None and earlier.service:
        yield f"service: {_quoted(earlier.service)}"
    success = "" if head.success_ratio is None else f", success: {_percent(head.success_ratio)}"
    yield f"# {words.quantile(head.quantile)}: {head.sla_reason}."
    yield f"sla: {{{words.quantile(head.quantile)}: {_duration(head.sla_ms)}{success}}}"
    for quantile, limit_ms in earlier.sla.latency_ms.items() if earlier is not None else ():
        if quantile != head.quantile:
            name = words.quantile(quantile)
            yield f"# The earlier {name}: {_duration(limit_ms)} was not held against the baseline."
    limit = head.share_ratio * head.sla_ms
    most = words.percent(head.quantile)
    yield (
        f"# Budgets `on_path` add up to {words.time(head.downstream_ms)} of {words.time(limit)} "
        f"downstream (each boundary's {head.downstream_at}), and with"
    )
    yield (
        f"# models and own work to {words.time(head.whole_ms)} of {words.time(head.sla_ms)} "
        f"({head.whole_at}), for {most} of the requests."
    )
    yield f"downstream_share: {_percent(head.share_ratio)}"
    pilot = f", pilot: {_quoted(head.pilot)}" if head.pilot and head.pilot != head.cohort else ""
    yield f"cohorts: {{baseline: {_quoted(head.cohort)}{pilot}}}"
    if earlier is not None and earlier.aliases:
        yield "aliases:"
        for alias in earlier.aliases:
            yield f"  {_quoted(alias.host)}: {_quoted(alias.service)}"


def _too_few(head: Written, terms: Sequence[Terms]) -> Iterator[str]:
    n = sum(each.timeout.is_too_few for each in terms)
    if n:
        yield ""
        yield (
            f"# No time-out is drafted for {words.count(n)} of the {words.count(len(terms))} "
            "boundaries: to tell after how long"
        )
        yield (
            f"# {words.percent(head.given_up_ratio)} of good calls would be given up, "
            f"{words.count(head.least_successes)} independent ones are the least."
        )


def _boundaries(head: Written, terms: Sequence[Terms]) -> Iterator[str]:
    if terms:
        yield ""
        yield "boundaries:"
    for each in terms:
        yield f"  - match: {_quoted(f'{pattern(each.caller)} -> {pattern(each.callee)}')}"
        yield f"    # {_evidence(each)}"
        if each.budget_ms is not None and each.quantile is not None:
            yield f"    budget: {_duration(each.budget_ms)}"
            if each.on_path_ms is not None:
                yield f"    on_path: {_duration(each.on_path_ms)}"
            elif each.slight_ms is not None:
                part = words.percent(MATERIAL)
                yield (
                    f"    # no on_path: {words.time(each.slight_ms)} a request are under {part} of "
                    "what its path may take"
                )
            if each.quantile != head.quantile:
                yield f"    quantile: {words.quantile(each.quantile)}"
        yield from _timeout(each.timeout)
        yield from _kept(each, head.sla_ms)


def _kept(each: Terms, sla_ms: float) -> Iterator[str]:
    """Yield whether it may be repeated, and what the earlier contract said that no call tells."""
    earlier = each.earlier
    said = None if earlier is None else earlier.idempotent
    if said is not None:
        yield f"    idempotent: {'true' if said else 'false'}   # as before"
    elif each.is_idempotent:
        yield "    idempotent: true   # every call was GET, HEAD, OPTIONS, TRACE, PUT or DELETE"
    if earlier is None:
        return
    if earlier.retries is not None:
        longest_ms = (each.timeout.timeout_ms or 0.0) * (earlier.retries + 1)
        if longest_ms <= sla_ms:
            yield f"    retries: {earlier.retries}   # as before"
        else:
            yield f"    # no retries: {earlier.retries + 1} tries would take longer than the SLA"
    if earlier.fallback is not None:
        yield f"    fallback: {_quoted(earlier.fallback)}   # as before"


def _evidence(each: Terms) -> str:
    n = f"{words.counted(each.calls, 'call')} in {words.counted(each.units, 'unit')}"
    if each.quantile is None:
        return f"{n}: {each.why_not}"
    name = words.quantile(each.quantile)
    measured = (
        f"{words.time(each.tail.value)} {words.time_interval(each.tail.lower, each.tail.upper)}"
    )
    text = f"{n}: {name} {measured}, {each.tail.grade}"
    if each.on_path_ms is None:
        return text
    path = each.path
    return (
        f"{text}; on the path of {words.counted(path.n, 'request')} {words.time(path.value)} "
        f"{words.time_interval(path.lower, path.upper)}, {path.grade}"
    )


def _timeout(timeout: Timeout) -> Iterator[str]:
    if timeout.timeout_ms is None:
        if timeout.why_not:
            yield f"    # no timeout: {timeout.why_not}"
        return
    if timeout.is_told:
        yield f"    timeout: {_duration(timeout.timeout_ms)}   # as its calls tell"
        return
    yield (
        f"    timeout: {_duration(timeout.timeout_ms)}   # gives up "
        f"{words.percent(timeout.given_up_ratio)} of good calls, solid; of those running then "
        f"{words.percent(timeout.if_running_ratio)} went well; saves "
        f" {words.time(timeout.saved_ms)} a call"
    )


def _access(uses: pd.DataFrame, earlier: Contracts | None) -> Iterator[str]:
    marked = set(earlier.sensitive) if earlier is not None else set()
    is_told = ~uses["is_sensitivity_inferred"].fillna(value=True).astype(bool)
    tagged = uses["sensitivity"].map(lambda tags: tags is not None and len(tags) > 0).astype(bool)
    marked |= {pattern(name) for name in uses.loc[is_told & tagged, "resource"]}
    if uses.empty and not marked:
        return
    yield ""
    yield "access:"
    first = True
    for agent, some in uses.sort_values(["agent", "resource"]).groupby("agent", sort=True):
        yield f"  - agent: {_quoted(pattern(str(agent)))}"
        yield "    allow:"
        for resource, rows in some.groupby("resource", sort=True):
            yield from _grant(str(resource), rows)
        if first and marked:
            yield f"    sensitive: [{', '.join(_quoted(name) for name in sorted(marked))}]"
        first = False


def _grant(resource: str, rows: pd.DataFrame) -> Iterator[str]:
    """Yield the grant of one resource: what was done, the least where its kind is not known."""
    done = {row["access"]: row for row in rows.to_dict("records")}
    known = [access for access in LATTICE if access in done and access in ACCESSES]
    figures = ", ".join(
        f"{access} in {words.count(done[access]['units'])} of "
        f"{words.count(done[access]['agent_units'])} units, {done[access]['used_ratio_grade']}"
        for access in (*LATTICE, "unknown")
        if access in done
    )
    granted = ", ".join(known or ["read"])
    least = "" if known else "; what it did is unknown, so the least is granted"
    yield f"      - {_quoted(f'{pattern(resource)}: {granted}')}   # {figures}{least}"


def pattern(name: str) -> str:
    """Return the glob that stands for one name, and can be written between arrows and quotes."""
    shown = "".join(
        f"[{char}]" if char in "[*?" else char if char.isprintable() else "?" for char in name
    )
    # A side must not hold an arrow of its own, nor begin or end with a space.
    shown = _ARROWS.sub(lambda found: " " + "?" * (len(found[0]) - 1), shown)
    start = "?" if shown.startswith(" ") else ""
    end = "?" if shown.endswith(" ") and len(shown) > 1 else ""
    return start + shown[len(start) : len(shown) - len(end)] + end


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    shown = "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in escaped)
    return f'"{shown}"'


def _duration(value_ms: float) -> str:
    # Milliseconds only: 1.13s would be read as a float that need not be 1,130 ms.
    return f"{Decimal(repr(float(value_ms))).normalize():f}ms"


def _percent(ratio: float) -> str:
    return f"{Decimal(f'{ratio * 100:.9g}').normalize():f}%"
