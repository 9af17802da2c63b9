"""Holds OpenAPI documents against the calls: what is called and not published."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from analysis import words
from analysis.compliance import callees, rules_of
from analysis.contracts import Contracts, Rule, host_of
from analysis.engine import Model
from analysis.openapi import Api, Operation, load
from analysis.scope import Scope

_VERSION = re.compile(r"v[0-9]+(?:\.[0-9]+)*", re.ASCII)
_NUMBERS = re.compile(r"[vV]?([0-9]+(?:\.[0-9]+)*)(?:[-+].*)?", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_HTTP_CALLEE = re.compile(r"http:[^/]*(/.*)?", re.DOTALL)


@dataclass(frozen=True)
class Deviation:
    """Calls that no document has, or a published operation that the contract leaves open."""

    is_call: bool  # else a warning
    line: int
    subject: str
    message: str
    calls: int


def deviations(model: Model, contracts: Contracts, scope: Scope) -> list[Deviation]:
    """Return what the documents named in a contract and the calls do not agree on.

    Calls are those of HTTP callees that the named service answers. A call whose method or status no
    span tells is judged by what is told; where a path may be a published one or not, nothing is
    said.
    """
    if not contracts.openapi:
        return []
    apis = [load(document, contracts.path) for document in contracts.openapi]
    told = model.ask("http_calls", scope)
    named = callees(model, contracts, scope).set_index("boundary_id")["callee_service"]
    told["service"] = told["boundary_id"].map(named)
    told["service"] = told["service"].where(told["service"].notna(), told["callee"].map(host_of))
    rules = rules_of(model, contracts, scope)
    found: list[Deviation] = []
    for service in dict.fromkeys(api.document.service for api in apis):
        mine = [api for api in apis if api.document.service == service]
        calls = told[told["service"] == service]
        found += _of_calls(service, mine, calls)
        found += _of_releases(service, mine, calls)
        found += _of_terms(service, mine, calls, rules, contracts)
    return found


def _of_calls(service: str, apis: Sequence[Api], calls: pd.DataFrame) -> Iterator[Deviation]:
    """Yield the operations, methods and statuses that are called and not published."""
    line = apis[0].document.line
    seen: dict[tuple[str, str], tuple[set[str], int, str]] = {}
    for row in calls.to_dict("records"):
        told = _Told(
            path_of(row["callee"]),
            row["http_method"] if isinstance(row["http_method"], str) else None,
            None if pd.isna(row["http_status"]) else int(row["http_status"]),
            asked_for(row["api_version"]),
        )
        problem = _judged(apis, told)
        if problem is None:
            continue
        callers, n, example = seen.get(problem, (set(), 0, row["example_trace_id"]))
        seen[problem] = (callers | {row["caller"]}, n + int(row["calls"]), example)
    for (subject, wrong), (callers, n, example) in sorted(seen.items()):
        who = ", ".join(sorted(callers))
        yield Deviation(
            is_call=True,
            line=line,
            subject=f"{service} {subject}",
            message=f"{wrong}: {words.counted(n, 'call')} from {who}; for example {example}.",
            calls=n,
        )


def path_of(callee: str) -> str:
    """Return the path in `http:<host>/<path>`."""
    found = _HTTP_CALLEE.fullmatch(callee)
    return (found[1] if found else None) or "/"


def asked_for(value: object) -> str | None:
    """Return the version that a call asked for; headers are told as lists."""
    if not isinstance(value, str):
        return None
    try:
        listed = json.loads(value)
    except (ValueError, RecursionError):
        listed = value
    if isinstance(listed, list):
        value = str(listed[0]) if len(listed) == 1 else ""
    return value.strip() or None


@dataclass(frozen=True)
class _Told:
    """What the spans of a call tell of it."""

    path: str
    method: str | None
    status: int | None
    version: str | None


def _judged(apis: Sequence[Api], told: _Told) -> tuple[str, str] | None:
    """Return the operation and what is wrong with a call to it, None where nothing surely is."""
    path, method, status = told.path, told.method, told.status
    candidates = [
        (sure, api, operation)
        for api in apis
        for operation in api.operations
        if (sure := _matches(operation, path)) is not None
    ]
    if not candidates:
        if any(_alike(name, path) is not None for api in apis for name in api.unread):
            return None
        other = _other_version(apis, path)
        if other is not None:
            return path, f"another version than the document's, {other}"
        return f"{method or '?'} {path}", "no published path"
    best = [each for each in candidates if each[0]] or candidates
    same = [each for each in best if each[2].method == method]
    asked = _other_asked([each[1:] for each in same or best], told.version)
    if asked is not None:
        return f"{method or '?'} {best[0][2].path}", asked
    if method is None:
        return None
    # A HEAD is answered as the GET it stands for (RFC 9110, 9.3.2), and asks for no contract.
    if not same and method == "HEAD":
        return None
    if not same:
        # Where the path is one of several that are published, another may have the method.
        if any(operation.method == method for _, _, operation in candidates):
            return None
        if not any(sure for sure, _, _ in candidates):
            return f"{method} {path}", "no published operation, whichever path it stands for"
        methods = ", ".join(sorted({operation.method for _, _, operation in best}))
        return f"{method} {best[0][2].path}", f"no published method, only {methods}"
    if status is None or any(operation.answers(status) for _, _, operation in same):
        return None
    codes = ", ".join(sorted(set().union(*(each.statuses for _, _, each in same)))).lower()
    return f"{method} {same[0][2].path}", f"no published status {status}, only {codes}"


def _other_asked(published: Sequence[tuple[Api, Operation]], version: str | None) -> str | None:
    """Return what is wrong where a call asks for a version that none of the operations is of.

    The values that a document lists for its version parameter count; without a list its own
    version does, as far as both tell it: 2 is 2.3.0, and 2.1 is not.
    """
    if version is None:
        return None
    others: list[str] = []
    for api, operation in published:
        if operation.versions:
            if any(_is_same(version, each) for each in operation.versions):
                return None
            others += sorted(operation.versions)
        elif _is_same(version, api.version) is False:
            others.append(api.version)
        else:
            return None
    listed = ", ".join(dict.fromkeys(others))
    return f"asks for version {version}, another than the document's, {listed}"


def _is_same(asked: str, published: str) -> bool | None:
    """Return whether two versions are one, None where they cannot be compared."""
    if asked.lower() == published.lower():
        return True
    dates = _DATE.match(asked), _DATE.match(published)
    if dates[0] or dates[1]:
        return False if dates[0] and dates[1] else None
    numbers = _NUMBERS.fullmatch(asked), _NUMBERS.fullmatch(published)
    if not (numbers[0] and numbers[1]):
        return None
    one, other = ([int(part) for part in found[1].split(".")] for found in numbers if found)
    return all(mine == its for mine, its in zip(one, other, strict=False))


def _of_releases(service: str, apis: Sequence[Api], calls: pd.DataFrame) -> Iterator[Deviation]:
    """Yield the releases of the answering service of another major number than all documents.

    A release is no version of an API: only where some answer has a document's major number are both
    counted alike, and it is asked whether the document holds for the others.
    """
    documented = {major for api in apis if (major := _major(api.version)) is not None}
    released = calls["callee_version"].map(lambda told: _major(str(told))).astype("Int64")
    if not released.isin(documented).any():
        return
    others = calls[released.notna() & ~released.isin(documented)]
    for release, some in others.groupby("callee_version"):
        n = int(some["calls"].sum())
        shown = ", ".join(sorted({api.version for api in apis}))
        yield Deviation(
            is_call=False,
            line=apis[0].document.line,
            subject=service,
            message=f"release {release} answers, the document is of {shown}; does it still hold? "
            f"{words.counted(n, 'call')}.",
            calls=n,
        )


def _major(version: str) -> int | None:
    """Return the major number of a version such as 2.3.0, None of a date or a name."""
    found = None if _DATE.match(version) else _NUMBERS.fullmatch(version)
    return int(found[1].split(".")[0]) if found and "." in found[1] else None


def _matches(operation: Operation, path: str) -> bool | None:
    """Return True where a path surely is an operation's, False where it may be, None where not.

    Gateways take the server's path away: a call may come with it or without.
    """
    answers = [_alike(base + operation.path, path) for base in (*operation.bases, "")]
    known = [answer for answer in answers if answer is not None]
    return any(known) if known else None


def _alike(published: str, path: str) -> bool | None:
    """Compare two paths segment by segment; a parameter is any one segment.

    A segment that only the traces made a parameter of may be the published word: not sure.
    """
    ours, theirs = published.strip("/").split("/"), path.strip("/").split("/")
    if len(ours) != len(theirs):
        return None
    is_sure = True
    for mine, other in zip(ours, theirs, strict=True):
        if mine == other or "{" in mine:
            if "{" in mine and other != mine and not _fits(mine, other):
                return None
            continue
        if "{" in other or other == "*":
            is_sure = False
            continue
        return None
    return is_sure


def _fits(published: str, segment: str) -> bool:
    """Return whether a segment may be one with parameters in it, such as `{id}.json`."""
    if "{" in segment:
        return True
    parts = re.split(r"\{[^}]*\}", published)
    return re.fullmatch(".+".join(map(re.escape, parts)), segment, re.DOTALL) is not None


def _other_version(apis: Sequence[Api], path: str) -> str | None:
    """Return the published version of a path that another version was called of."""
    for api in apis:
        for operation in api.operations:
            for base in (*operation.bases, ""):
                ours = (base + operation.path).strip("/").split("/")
                theirs = path.strip("/").split("/")
                if len(ours) != len(theirs):
                    continue
                for place, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
                    if mine == other or not (
                        _VERSION.fullmatch(mine) and _VERSION.fullmatch(other)
                    ):
                        continue
                    moved = "/".join([*theirs[:place], mine, *theirs[place + 1 :]])
                    if _alike(base + operation.path, moved) is not None:
                        return f"{mine} ({api.version})" if api.version else mine
    return None


def _of_terms(
    service: str,
    apis: Sequence[Api],
    calls: pd.DataFrame,
    rules: Mapping[str, Rule],
    contracts: Contracts,
) -> Iterator[Deviation]:
    """Yield the published operations that have no budget or no time-out."""
    for api in apis:
        for operation in api.operations:
            is_own = calls["callee"].map(lambda name, o=operation: bool(_matches(o, path_of(name))))
            mine = calls[is_own.astype(bool)] if len(calls) else calls
            if len(mine):
                terms = {rules.get(boundary) for boundary in mine["boundary_id"]}
            else:
                terms = set(_written(service, operation, contracts)) or {None}
            lacks = [
                name
                for name in ("budget", "timeout")
                if any(rule is None or getattr(rule, f"{name}_ms") is None for rule in terms)
            ]
            if lacks:
                n = int(mine["calls"].sum())
                yield Deviation(
                    is_call=False,
                    line=api.document.line,
                    subject=f"{service} {operation.method} {operation.path}",
                    message=f"no {' and no '.join(lacks)}: {words.counted(n, 'call')}.",
                    calls=n,
                )


def _written(service: str, operation: Operation, contracts: Contracts) -> Iterator[Rule]:
    """Yield the rules that speak of an operation nobody called."""
    for base in dict.fromkeys((*operation.bases, "")):
        path = base + operation.path
        for rule in contracts.boundaries:
            anyone = replace(rule, caller="*")
            if anyone.covers("?", f"http:{service}{path}", service):
                yield rule
