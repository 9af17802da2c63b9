"""Reads OpenAPI documents and holds them against the calls: what is called but not published."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from analysis import words
from analysis.compliance import callees, rules_of
from analysis.contracts import ContractError, Contracts, Document, Rule, host_of
from analysis.engine import Model
from analysis.scope import Scope

MAX_BYTES = 2 * 1024 * 1024
MAX_DEPTH = 60
METHODS = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE")
_VERSION = re.compile(r"v[0-9]+(?:\.[0-9]+)*", re.ASCII)
_HTTP_CALLEE = re.compile(r"http:[^/]*(/.*)?", re.DOTALL)


@dataclass(frozen=True)
class Operation:
    """A method on a path; `statuses` has codes, ranges such as 4XX, or default; empty is any."""

    method: str
    path: str  # as published, without the server's
    bases: tuple[str, ...]  # paths of its servers
    statuses: frozenset[str]

    def answers(self, status: int) -> bool:
        """Return whether a status code is published."""
        names = {str(status), f"{status // 100}XX", "DEFAULT"}
        return not self.statuses or bool(names & self.statuses)


@dataclass(frozen=True)
class Api:
    """What a document publishes; `unread` are paths that other files describe."""

    document: Document
    version: str
    operations: tuple[Operation, ...]
    unread: tuple[str, ...]


@dataclass(frozen=True)
class Deviation:
    """Calls that no document has, or a published operation that the contract leaves open."""

    is_call: bool
    line: int
    subject: str
    message: str
    calls: int


def load(document: Document, contract: str) -> Api:
    """Return what a document publishes; its path is relative to the contract's.

    References within the document are followed, none to another file or address.

    Raises:
        ContractError: It is missing, too large, or no OpenAPI 3 or Swagger 2.
    """
    path = Path(contract).parent / document.file
    where = f"{contract}:{document.line}: openapi: {document.file}"
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no such path"
        raise ContractError(f"{where}: cannot be read: {reason}.") from error
    if len(raw) > MAX_BYTES:
        raise ContractError(f"{where}: larger than {MAX_BYTES // 1024**2} MiB.")
    content = _content(raw, where)
    is_known = str(content.get("openapi", "")).startswith("3.") or content.get("swagger") == "2.0"
    paths = content.get("paths", {})
    if not is_known or not isinstance(paths, dict):
        raise ContractError(f"{where}: no OpenAPI 3 and no Swagger 2.0 document.")
    bases = _bases(content) or (str(content.get("basePath", "")).rstrip("/"),)
    operations: list[Operation] = []
    unread: list[str] = []
    for name, item in paths.items():
        found = _resolved(item, content)
        if not isinstance(found, dict) or not str(name).startswith("/"):
            unread.append(str(name))
            continue
        own = _bases(found) or bases
        for method in METHODS:
            told = found.get(method.lower())
            if isinstance(told, dict):
                operations.append(
                    Operation(method, str(name), _bases(told) or own, _statuses(told))
                )
    info = content.get("info")
    version = str(info.get("version", "")) if isinstance(info, dict) else ""
    return Api(document, version, tuple(operations), tuple(unread))


def _content(raw: bytes, where: str) -> dict[str, Any]:
    try:
        text = raw.decode("utf-8-sig")
        if text.lstrip().startswith("{"):
            content = json.loads(text)
        else:
            depth = 0
            for event in yaml.parse(text, yaml.SafeLoader):
                # A few aliases of aliases grow into billions of values.
                if isinstance(event, yaml.AliasEvent):
                    raise ContractError(f"{where}: `*{event.anchor}`: aliases are not read.")
                depth += isinstance(event, yaml.CollectionStartEvent)
                depth -= isinstance(event, yaml.CollectionEndEvent)
                if depth > MAX_DEPTH:
                    raise ContractError(f"{where}: nested deeper than {MAX_DEPTH} levels.")
            # A date is a text here: `version: 2026-01-31` must not become a day.
            content = yaml.load(text, yaml.BaseLoader)  # noqa: S506 - texts, lists, mappings only
    except (UnicodeDecodeError, ValueError, yaml.YAMLError, RecursionError) as error:
        said = " ".join(str(error).split())[:160]
        raise ContractError(f"{where}: neither JSON nor YAML: {said}") from error
    if not isinstance(content, dict):
        raise ContractError(f"{where}: no OpenAPI 3 and no Swagger 2.0 document.")
    return content


def _bases(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the paths of the servers, a variable being any one segment."""
    servers = content.get("servers")
    if not isinstance(servers, list):
        return ()
    paths = []
    for server in servers:
        url = str(server.get("url", "")) if isinstance(server, dict) else ""
        # Braces are no part of an address, so that no parser of addresses is asked.
        host, slash, path = url.partition("//")[2].partition("/")
        paths.append((slash + path if host else url).rstrip("/"))
    return tuple(dict.fromkeys(paths))


def _resolved(item: object, content: Mapping[str, Any]) -> object:
    """Return what a reference within the document points to, None for any other."""
    for _ in range(MAX_DEPTH):
        if not isinstance(item, dict) or "$ref" not in item:
            return item
        target = str(item["$ref"])
        if not target.startswith("#/"):
            return None
        item = content
        for part in target[2:].split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            item = item.get(key) if isinstance(item, dict) else None
    return None


def _statuses(operation: Mapping[str, Any]) -> frozenset[str]:
    told = operation.get("responses")
    return frozenset(str(code).upper() for code in told) if isinstance(told, dict) else frozenset()


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
        found += _of_terms(service, mine, calls, rules, contracts)
    return found


def _of_calls(service: str, apis: Sequence[Api], calls: pd.DataFrame) -> Iterator[Deviation]:
    """Yield the operations, methods and statuses that are called and not published."""
    line = apis[0].document.line
    seen: dict[tuple[str, str], tuple[set[str], int, str]] = {}
    for row in calls.to_dict("records"):
        method = row["http_method"] if isinstance(row["http_method"], str) else None
        status = None if pd.isna(row["http_status"]) else int(row["http_status"])
        problem = _judged(apis, path_of(row["callee"]), method, status)
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


def _judged(
    apis: Sequence[Api], path: str, method: str | None, status: int | None
) -> tuple[str, str] | None:
    """Return the operation and what is wrong with a call to it, None where nothing surely is."""
    candidates = [
        (sure, operation)
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
    best = [operation for sure, operation in candidates if sure] or [
        operation for _, operation in candidates
    ]
    if method is None:
        return None
    same = [operation for operation in best if operation.method == method]
    # A HEAD is answered as the GET it stands for (RFC 9110, 9.3.2), and asks for no contract.
    if not same and method == "HEAD":
        return None
    if not same:
        # Where the path is one of several that are published, another may have the method.
        if any(operation.method == method for _, operation in candidates):
            return None
        if not any(sure for sure, _ in candidates):
            return f"{method} {path}", "no published operation, whichever path it stands for"
        methods = ", ".join(sorted({operation.method for operation in best}))
        return f"{method} {best[0].path}", f"no published method, only {methods}"
    if status is None or any(operation.answers(status) for operation in same):
        return None
    codes = ", ".join(sorted(set().union(*(each.statuses for each in same)))).lower()
    return f"{method} {same[0].path}", f"no published status {status}, only {codes}"


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
