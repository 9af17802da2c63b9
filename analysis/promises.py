"""What differs between two contracts, by meaning: neither layout nor units nor harmless order."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from analysis import words
from analysis.contracts import Acknowledgement, Contracts, Rule
from analysis.globs import meet


@dataclass(frozen=True)
class Difference:
    """One promise that is not the same.

    `change` is added, removed, tighter, looser or other, or expired, which is no difference but an
    acknowledgement of the later contract whose day is over; a line is 0 where there is none.
    """

    promise: str
    change: str
    before: str
    after: str
    before_line: int = 0
    after_line: int = 0


def differences(
    before: Contracts,
    after: Contracts,
    defaults: Mapping[str, float],
    *,
    today: dt.date | None = None,
) -> list[Difference]:
    """Return every promise that differs, in the order of the file's sections, then by name.

    Args:
        before: The earlier contract.
        after: The later one.
        defaults: The limits of gates that a contract does not set; writing one down is no change.
        today: The day that acknowledgements are held against; without one none is expired.
    """
    return [
        *_head(before, after),
        *_rules(before, after),
        *_orders(before, after),
        *_grants(before, after),
        *_gates(before, after, defaults),
        *_documents(before, after),
        *_acknowledged(before, after),
        *_expired(after, today),
    ]


def _head(before: Contracts, after: Contracts) -> Iterator[Difference]:
    yield from _value("service", before.service, after.service, str)
    for quantile in sorted({*before.sla.latency_ms, *after.sla.latency_ms}):
        yield from _value(
            f"sla.{words.quantile(quantile)}",
            before.sla.latency_ms.get(quantile),
            after.sla.latency_ms.get(quantile),
            words.time,
            lower_is_tighter=True,
        )
    both = (before.sla.quantile, after.sla.quantile)
    yield from _value("the quantile that verdicts are about", *both, words.quantile)
    yield from _value(
        "sla.success",
        before.sla.success_ratio,
        after.sla.success_ratio,
        words.percent,
        lower_is_tighter=False,
    )
    yield from _value(
        "downstream_share",
        before.downstream_share_ratio,
        after.downstream_share_ratio,
        words.percent,
        lower_is_tighter=True,
    )
    yield from _value("cohorts.baseline", before.cohorts.baseline, after.cohorts.baseline, str)
    yield from _value("cohorts.pilot", before.cohorts.pilot, after.cohorts.pilot, str)
    hosts = [{alias.host: alias for alias in side.aliases} for side in (before, after)]
    for host in sorted({*hosts[0], *hosts[1]}):
        was, now = (side.get(host) for side in hosts)
        yield from _value(
            f"aliases.{host}",
            was.service if was else None,
            now.service if now else None,
            str,
            lines=(was.line if was else 0, now.line if now else 0),
        )


def _value(
    promise: str,
    before: object,
    after: object,
    say: Callable[[Any], str],
    *,
    lower_is_tighter: bool | None = None,
    lines: tuple[int, int] = (0, 0),
) -> Iterator[Difference]:
    """Yield the difference of one value, None where it is not promised."""
    if before == after:
        return
    texts = ["" if value is None else say(value) for value in (before, after)]
    if before is None:
        change = "added"
    elif after is None:
        change = "removed"
    elif lower_is_tighter is None or not isinstance(before, int | float):
        change = "other"
    else:
        assert isinstance(after, int | float)  # noqa: S101 - both sides of one key
        change = "tighter" if (after < before) == lower_is_tighter else "looser"
    yield Difference(promise, change, texts[0], texts[1], *lines)


def _first(contracts: Contracts) -> dict[tuple[str, str], Rule]:
    """Return the rules by what they match; of two alike the first counts."""
    rules: dict[tuple[str, str], Rule] = {}
    for rule in contracts.boundaries:
        rules.setdefault((rule.caller, rule.callee), rule)
    return rules


def _rules(before: Contracts, after: Contracts) -> Iterator[Difference]:
    was, now = _first(before), _first(after)
    for key in sorted({*was, *now}):
        old, new = was.get(key), now.get(key)
        name = " -> ".join(key)
        if old is None or new is None:
            yield Difference(
                name,
                "added" if old is None else "removed",
                _said(old),
                _said(new),
                old.line if old else 0,
                new.line if new else 0,
            )
            continue
        lines = (old.line, new.line)
        yield from _terms(name, old, new, lines)


def _terms(name: str, old: Rule, new: Rule, lines: tuple[int, int]) -> Iterator[Difference]:
    for term in ("budget", "on_path", "timeout"):
        pair = (getattr(old, f"{term}_ms"), getattr(new, f"{term}_ms"))
        yield from _value(f"{name}: {term}", *pair, words.time, lower_is_tighter=True, lines=lines)
    if any(side.budget_ms is not None or side.on_path_ms is not None for side in (old, new)):
        yield from _value(
            f"{name}: quantile",
            old.quantile,
            new.quantile,
            words.quantile,
            lower_is_tighter=False,
            lines=lines,
        )
    yield from _value(f"{name}: idempotent", old.idempotent, new.idempotent, _yes, lines=lines)
    yield from _value(
        f"{name}: retries", old.retries, new.retries, str, lower_is_tighter=True, lines=lines
    )
    yield from _value(f"{name}: fallback", old.fallback, new.fallback, str, lines=lines)


def _yes(value: object) -> str:
    return "true" if value else "false"


def _said(rule: Rule | None) -> str:
    """Return the terms of a rule in one line."""
    if rule is None:
        return ""
    parts = [
        f"{term} {words.time(value)}"
        for term in ("budget", "on_path", "timeout")
        if (value := getattr(rule, f"{term}_ms")) is not None
    ]
    if rule.budget_ms is not None or rule.on_path_ms is not None:
        parts.append(words.quantile(rule.quantile))
    if rule.idempotent is not None:
        parts.append("idempotent" if rule.idempotent else "not idempotent")
    if rule.retries is not None:
        parts.append(f"retries {rule.retries}")
    if rule.fallback is not None:
        parts.append(f"fallback {rule.fallback}")
    return ", ".join(parts)


def _promised(rule: Rule) -> tuple[object, ...]:
    return (
        *(rule.budget_ms, rule.on_path_ms, rule.timeout_ms),
        *(rule.idempotent, rule.retries, rule.fallback),
        rule.quantile if rule.budget_ms is not None or rule.on_path_ms is not None else None,
    )


def _orders(before: Contracts, after: Contracts) -> Iterator[Difference]:
    """Yield pairs of rules that changed places, where a call may match both: the first counts."""
    was, now = _first(before), _first(after)
    places = {key: place for place, key in enumerate(now)}
    kept = [key for key in was if key in now]
    for place, first in enumerate(kept):
        for second in kept[place + 1 :]:
            if places[first] < places[second] or _promised(now[first]) == _promised(now[second]):
                continue
            if meet(first[0], second[0]) and meet(first[1], second[1]):
                names = " -> ".join(first), " -> ".join(second)
                yield Difference(
                    f"which rule counts where both match: {names[0]}; {names[1]}",
                    "other",
                    names[0],
                    names[1],
                    was[first].line,
                    now[second].line,
                )


def _grants(before: Contracts, after: Contracts) -> Iterator[Difference]:
    was, now = (
        {(grant.agent, grant.resource, grant.access): grant.line for grant in side.access}
        for side in (before, after)
    )
    for key in sorted(was.keys() ^ now.keys()):
        agent, resource, access = key
        is_new = key in now
        text = f"{access} {resource}"
        yield Difference(
            f"access.{agent}",
            "looser" if is_new else "tighter",
            "" if is_new else text,
            text if is_new else "",
            was.get(key, 0),
            now.get(key, 0),
        )
    for pattern in sorted({*before.sensitive} ^ {*after.sensitive}):
        is_new = pattern in after.sensitive
        yield Difference(
            "sensitive",
            "added" if is_new else "removed",
            "" if is_new else pattern,
            pattern if is_new else "",
        )


def _gates(
    before: Contracts, after: Contracts, defaults: Mapping[str, float]
) -> Iterator[Difference]:
    for name in sorted({*before.gates, *after.gates}):
        was, now = (side.gates.get(name, _unsaid(side, name, defaults)) for side in (before, after))
        # A rise and an escape are limits from above; every other gate is one from below.
        yield from _value(
            f"gates.{name}",
            was,
            now,
            words.percent,
            lower_is_tighter=name in ("slower", "escape"),
        )


def _unsaid(contracts: Contracts, name: str, defaults: Mapping[str, float]) -> float | None:
    """Return the limit of a gate that the contract does not set."""
    if name == "success" and contracts.sla.success_ratio is not None:
        return contracts.sla.success_ratio
    if name == "within_sla" and contracts.sla.limit_ms is not None:
        return contracts.sla.quantile
    return defaults.get(name)


def _documents(before: Contracts, after: Contracts) -> Iterator[Difference]:
    was, now = (
        {(each.service, each.file): each.line for each in side.openapi} for side in (before, after)
    )
    for service, file in sorted(was.keys() ^ now.keys()):
        key = (service, file)
        yield Difference(
            f"openapi.{service}",
            "added" if key in now else "removed",
            file if key in was else "",
            file if key in now else "",
            was.get(key, 0),
            now.get(key, 0),
        )


def _acknowledged(before: Contracts, after: Contracts) -> Iterator[Difference]:
    """Yield acknowledgements that came, went or changed; one is known by finding and subject."""
    was, now = _by_meaning(before), _by_meaning(after)
    for key in sorted(was.keys() | now.keys()):
        name = f"acknowledged.{' '.join(key)}"
        old, new = was.get(key, {}), now.get(key, {})
        gone = [each for said, each in sorted(old.items()) if said not in new]
        come = [each for said, each in sorted(new.items()) if said not in old]
        for one, other in zip(gone, come, strict=False):
            change = "other"
            if one.until != other.until:
                change = "looser" if other.until > one.until else "tighter"
            lines = one.line, other.line
            yield Difference(name, change, _answer(one), _answer(other), *lines)
        for each in gone[len(come) :]:
            yield Difference(name, "removed", _answer(each), "", each.line, 0)
        for each in come[len(gone) :]:
            yield Difference(name, "added", "", _answer(each), 0, each.line)


def _by_meaning(
    contracts: Contracts,
) -> dict[tuple[str, str], dict[tuple[str, str, str], Acknowledgement]]:
    told: dict[tuple[str, str], dict[tuple[str, str, str], Acknowledgement]] = {}
    for each in contracts.acknowledged:
        said = (each.until.isoformat(), each.owner, each.reason)
        told.setdefault((each.finding, each.subject), {}).setdefault(said, each)
    return told


def _expired(after: Contracts, today: dt.date | None) -> Iterator[Difference]:
    for each in after.acknowledged:
        if today is not None and each.until < today:
            name = f"acknowledged.{each.finding} {each.subject}"
            yield Difference(name, "expired", "", _answer(each), 0, each.line)


def _answer(each: Acknowledgement) -> str:
    return f"{each.owner} until {each.until}: {each.reason}"
