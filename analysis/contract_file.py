"""Reads contracts.yaml, section by section, into what it promises."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from analysis.contract_lines import Place, compose, nearest, shown
from analysis.contracts import (
    ACCESSES,
    GATES,
    QUANTILES,
    Acknowledgement,
    Alias,
    Cohorts,
    ContractError,
    Contracts,
    Document,
    Grant,
    Rule,
    Sla,
)

# A contract is written by hand: more than this is another file by mistake, or an attack.
MAX_BYTES = 256 * 1024
_TOP = (
    "service",
    "sla",
    "downstream_share",
    "cohorts",
    "aliases",
    "boundaries",
    "access",
    "gates",
    "acknowledged",
    "openapi",
)
_SLA = (*QUANTILES, "success")
_COHORTS = ("baseline", "pilot")
_RULE = (
    *("match", "budget", "on_path", "quantile"),
    *("timeout", "idempotent", "retries", "fallback"),
)
_ACCESS = ("agent", "allow", "sensitive")
_OPENAPI = ("service", "file")
_ACKNOWLEDGED = ("finding", "subject", "owner", "reason", "until")
_HOST = re.compile(r"[^\s/]+")
_ARROW = re.compile(r"(\S(?:.*\S)?) (?:->|→) (\S(?:.*\S)?)", re.ASCII)


def load(path: Path | str) -> Contracts:
    """Return the contract in a file.

    Raises:
        ContractError: When the file is missing, too large, no YAML, or says something unknown or
            impossible; the message names file, line and key.
    """
    name = str(path)
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ContractError(f"{name}: cannot be read: {error.strerror}.") from error
    if len(raw) > MAX_BYTES:
        raise ContractError(f"{name}: larger than {MAX_BYTES // 1024} KiB; is it a contract?")
    return parse(raw, name)


def parse(raw: bytes, name: str = "contracts.yaml") -> Contracts:
    """Return the contract in a file's bytes; `name` stands for the file in messages."""
    root = Place(name, compose(raw, name), "contract")
    top = root.mapping(_TOP)
    sla = _sla(top["sla"]) if "sla" in top else Sla()
    cohorts = top["cohorts"].mapping(_COHORTS) if "cohorts" in top else {}
    grants, sensitive = _access(top["access"]) if "access" in top else ((), ())
    gates = top["gates"].mapping(GATES) if "gates" in top else {}
    return Contracts(
        service=top["service"].text() if "service" in top else None,
        sla=sla,
        downstream_share_ratio=(
            top["downstream_share"].ratio() if "downstream_share" in top else None
        ),
        cohorts=Cohorts(**{key: place.text() for key, place in cohorts.items()}),
        aliases=tuple(_aliases(top["aliases"])) if "aliases" in top else (),
        boundaries=tuple(_rule(place, sla) for place in top["boundaries"].items())
        if "boundaries" in top
        else (),
        access=grants,
        sensitive=sensitive,
        gates={key: place.ratio() for key, place in gates.items()},
        openapi=tuple(map(_document, top["openapi"].items())) if "openapi" in top else (),
        acknowledged=tuple(_acknowledgement(place) for place in top["acknowledged"].items())
        if "acknowledged" in top
        else (),
        path=name,
        digest=hashlib.sha256(raw).hexdigest(),
    )


def _sla(place: Place) -> Sla:
    values = place.mapping(_SLA)
    return Sla(
        {QUANTILES[key]: value.duration_ms() for key, value in values.items() if key in QUANTILES},
        values["success"].ratio() if "success" in values else None,
    )


def _aliases(place: Place) -> Iterator[Alias]:
    lines: dict[str, int] = {}
    for key, value in place.pairs("a mapping of hosts to services: `10.0.0.7: credit-score`."):
        host = key.text()
        named = Place(place.path, key.node, shown(host))
        if not _HOST.fullmatch(key.node.value):
            named.refuse("is no host; write it without scheme and path.")
        if host in lines:
            named.refuse(f"written twice, first on line {lines[host]}.")
        lines[host] = named.line
        yield Alias(host, Place(place.path, value.node, shown(host)).text(), named.line)


def _rule(place: Place, sla: Sla) -> Rule:
    values = place.mapping(_RULE)
    if "match" not in values:
        place.refuse('a rule needs `match: "caller -> callee"`.')
    match = values["match"].text()
    sides = _ARROW.fullmatch(match)
    if not sides:
        values["match"].refuse(f'`{shown(match)}` is not "caller -> callee"; a side may hold `*`.')
    timeout_ms = values["timeout"].duration_ms() if "timeout" in values else None
    budget_ms = values["budget"].duration_ms() if "budget" in values else None
    return Rule(
        match=match,
        caller=sides[1],
        callee=sides[2],
        budget_ms=budget_ms,
        on_path_ms=values["on_path"].duration_ms() if "on_path" in values else None,
        quantile=values["quantile"].quantile() if "quantile" in values else sla.quantile,
        timeout_ms=timeout_ms,
        idempotent=values["idempotent"].flag() if "idempotent" in values else None,
        retries=values["retries"].whole() if "retries" in values else None,
        fallback=values["fallback"].text() if "fallback" in values else None,
        line=place.line,
    )


def _document(place: Place) -> Document:
    values = place.mapping(_OPENAPI)
    for name in _OPENAPI:
        if name not in values:
            place.refuse(f"a document needs `{name}`.")
    return Document(values["service"].text(), values["file"].text(), place.line)


def _access(place: Place) -> tuple[tuple[Grant, ...], tuple[str, ...]]:
    grants: list[Grant] = []
    sensitive: dict[str, None] = {}
    for entry in place.items():
        values = entry.mapping(_ACCESS)
        if "agent" not in values:
            entry.refuse("an access entry needs `agent`.")
        agent = values["agent"].text()
        if "allow" in values:
            for line in values["allow"].items():
                grants.extend(_grants(agent, line))
        if "sensitive" in values:
            sensitive.update(dict.fromkeys(item.text() for item in values["sensitive"].items()))
    return tuple(grants), tuple(sensitive)


def _grants(agent: str, place: Place) -> Iterator[Grant]:
    resource, colon, words = place.text().rpartition(": ")
    if not colon or not resource.strip():
        place.refuse(f'`{shown(place.text())}` is not "resource: access, access".')
    for word in words.split(","):
        access = word.strip()
        if access not in ACCESSES:
            place.refuse(f"access `{shown(access)}` is not known. {nearest(access, ACCESSES)}")
        yield Grant(agent, resource.strip(), access, place.line)


def _acknowledgement(place: Place) -> Acknowledgement:
    values = place.mapping(_ACKNOWLEDGED)
    for needed in ("finding", "owner", "reason", "until"):
        if needed not in values:
            place.refuse(f"an acknowledgement needs `{needed}`.")
    return Acknowledgement(
        finding=values["finding"].text(),
        subject=values["subject"].text() if "subject" in values else "*",
        owner=values["owner"].text(),
        reason=values["reason"].text(),
        until=values["until"].day(),
        line=place.line,
    )
