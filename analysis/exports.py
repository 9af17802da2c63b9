"""A contract in the forms that other tools put to work: Envoy routes, OpenSLO, an access policy."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from analysis import words
from analysis.access import LATTICE
from analysis.contracts import ACCESSES, ContractError, Contracts, Rule
from analysis.globs import of_token, set_end

# A request that reached nobody may be sent again whatever it does; any other only if it may.
_SAFE_RETRIES = "connect-failure,refused-stream"
_RETRIES = "5xx,reset,connect-failure,refused-stream"
# OpenSLO asks for one window; a month of days, as the burn rates of METHODS.md count it.
WINDOW = "30d"
_ROUTED = re.compile(r"(http|service):([^/]+)(/.*)?", re.DOTALL)
_GLOB = re.compile(r"[*?\[\]]")
_PLACEHOLDER = re.compile(r"\{[^}/]*\}")
_NO_SLUG = re.compile(r"[^a-z0-9]+")
_SLUG = 48
# What OpenSLO's own validator allows of a name to be shown, and of a description.
_SHOWN, _DESCRIBED = 63, 1050
# A duration of protobuf ends with the year 10000.
_MOST_SECONDS = Decimal(315_576_000_000)


@dataclass(frozen=True)
class Export:
    """Documents in order, and what of the contract they leave out, with lines."""

    documents: tuple[Mapping[str, Any], ...]
    left_out: tuple[str, ...] = ()


def envoy(contracts: Contracts) -> Export:
    """Return Envoy v3 route configurations, one a caller, for the proxy at its side.

    Routes stand in the order of the rules, since the first that matches counts for both; rules that
    match a caller by a pattern are among its own. A time-out is one try's: the route's own is that
    of all tries. Only an idempotent call is tried again after it reached the callee. Clusters are
    named as the services.
    """
    behind = {alias.host: alias.service for alias in contracts.aliases}
    limited, left_out = [], []
    for rule in contracts.boundaries:
        why = _why_not_routed(rule)
        if why is None:
            limited.append(rule)
        else:
            left_out.append(f"line {rule.line}: {rule.match}: {why}.")
    documents = []
    for caller in dict.fromkeys(rule.caller for rule in limited):
        services: dict[str, list[Rule]] = {}
        known: dict[str, str] = {}  # the case of a host's name makes no other host
        for rule in contracts.boundaries:
            found = _ROUTED.fullmatch(rule.callee)
            is_mine = rule.caller == caller or fnmatchcase(caller, rule.caller)
            if is_mine and found is not None and not _GLOB.search(found[2]):
                service = behind.get(found[2], found[2])
                services.setdefault(known.setdefault(service.lower(), service), []).append(rule)
        needed = {service: _needed(rules) for service, rules in services.items()}
        taken: set[str] = set()
        hosts = [
            _host(contracts, service, rules, taken) for service, rules in needed.items() if rules
        ]
        documents.append({"name": _slug(caller), "virtual_hosts": hosts})
    return _some(documents, left_out, contracts, "a route with a timeout or retries")


def _why_not_routed(rule: Rule) -> str | None:
    found = _ROUTED.fullmatch(rule.callee)
    if rule.timeout_ms is None and not rule.retries:
        return "it has no timeout and no retries"
    if found is None:
        return "its callee is no service that is asked over HTTP"
    return "a cluster needs one service, not a pattern" if _GLOB.search(found[2]) else None


def _needed(rules: Sequence[Rule]) -> Sequence[Rule]:
    """Return the rules up to the last that limits anything: those before it take calls from it."""
    limits = [place for place, rule in enumerate(rules) if rule.timeout_ms or rule.retries]
    return rules[: limits[-1] + 1] if limits else ()


def _host(
    contracts: Contracts, service: str, rules: Sequence[Rule], taken: set[str]
) -> dict[str, Any]:
    """Return the virtual host of a service, with the domains that no other has taken."""
    hosts = [service, *(alias.host for alias in contracts.aliases if alias.service == service)]
    # In a host header an address of version 6 stands in brackets.
    shown = [f"[{host}]" if host.count(":") > 1 else host for host in hosts]
    names = dict.fromkeys(name for host in shown for name in (host, f"{host}:*"))
    domains = [name for name in names if name.lower() not in taken]
    taken |= {name.lower() for name in domains}
    return {
        "name": service,
        "domains": domains,
        "routes": [
            {"match": _match(_path(rule.callee)), "route": _route(rule, service)} for rule in rules
        ],
    }


def _path(callee: str) -> str | None:
    found = _ROUTED.fullmatch(callee)
    return found[3] if found else None


def _match(path: str | None) -> dict[str, Any]:
    """Return the match of a path glob: exact, by prefix, or by RE2 where neither says it."""
    if path is None or path == "/*":
        return {"prefix": "/"}
    if not _GLOB.search(path) and not _PLACEHOLDER.search(path):
        return {"path": path}
    body = path.removesuffix("*")
    if path.endswith("/*") and not _GLOB.search(body) and not _PLACEHOLDER.search(body):
        return {"prefix": body}
    return {"safe_regex": {"regex": "".join(_regex(path))}}


def _regex(path: str) -> Iterator[str]:
    place = 0
    while place < len(path):
        found = _PLACEHOLDER.match(path, place)
        end = set_end(path, place) or place
        yield "[^/]+" if found else of_token(path[place : end + 1])
        place = found.end() if found else end + 1


def _route(rule: Rule, service: str) -> dict[str, Any]:
    # Zero is no limit: Envoy's own, 15 s, is none that the contract speaks of.
    tries = (rule.retries or 0) + 1
    route: dict[str, Any] = {
        "cluster": service,
        "timeout": _seconds((rule.timeout_ms or 0) * tries),
    }
    if rule.retries:
        policy: dict[str, Any] = {
            "retry_on": _RETRIES if rule.idempotent else _SAFE_RETRIES,
            "num_retries": rule.retries,
        }
        if rule.timeout_ms is not None:
            policy["per_try_timeout"] = _seconds(rule.timeout_ms)
        route["retry_policy"] = policy
    return route


def _seconds(value_ms: float) -> str:
    """Return a duration as protobuf writes it in JSON: seconds, at most nine digits behind."""
    seconds = min(Decimal(repr(float(value_ms))) / 1000, _MOST_SECONDS)
    return f"{seconds.quantize(Decimal('1e-9')).normalize():f}s"


def openslo(contracts: Contracts) -> Export:
    """Return OpenSLO v1 documents: the service, the SLA's objectives, and a budget's each.

    A quantile is a share of good events: p95 within 2 s is 95 % of the requests within 2 s. The
    indicators name what is counted as this contract does, under the metric source `orchrisk`; their
    values are plain, since OpenSLO's reader drops nested ones.
    """
    service = _slug(contracts.service or "agent-system")
    documents: list[dict[str, Any]] = []
    for quantile, limit_ms in contracts.sla.latency_ms.items():
        name = f"request latency {words.quantile(quantile)}"
        good: dict[str, Any] = {"count": "requests", "duration_ms_at_most": limit_ms}
        documents.append(_slo(name, service, quantile, good, {"count": "requests"}))
    if contracts.sla.success_ratio is not None:
        good = {"count": "requests", "is_failed": False}
        share = contracts.sla.success_ratio
        documents.append(_slo("request success", service, share, good, {"count": "requests"}))
    downstream_ms = contracts.downstream_budget_ms
    if downstream_ms is not None:
        share = contracts.gates.get("downstream", 0.95)
        good = {"count": "requests", "downstream_ms_at_most": downstream_ms}
        documents.append(_slo("downstream budget", service, share, good, {"count": "requests"}))
    left_out = []
    first: dict[tuple[str, str], Rule] = {}
    for rule in contracts.boundaries:
        before = first.setdefault((rule.caller, rule.callee), rule)
        if rule.budget_ms is None or before is not rule:
            why = "it has no budget"
            if before is not rule:
                why = f"line {before.line} matches the same first"
            left_out.append(f"line {rule.line}: {rule.match}: {why}.")
            continue
        total: dict[str, Any] = {
            "count": "calls",
            "caller": rule.caller,
            "callee": rule.callee,
            "rule": rule.line,
        }
        good = {**total, "client_ms_at_most": rule.budget_ms}
        documents.append(_slo(rule.match, service, rule.quantile, good, total))
    # A share of all is no objective: it allows no error.
    kept = [each for each in documents if each["spec"]["objectives"][0]["target"] < 1]
    left_out += [
        f"{each['spec']['description']}: 100 % leaves no error budget."
        for each in documents
        if each not in kept
    ]
    head = {
        "apiVersion": "openslo/v1",
        "kind": "Service",
        "metadata": {"name": service},
        "spec": {"description": f"Objectives of contract {contracts.digest[:12]}."},
    }
    found = _some(kept, left_out, contracts, "an SLA or a budget")
    return Export((head, *found.documents), found.left_out)


def _slo(
    name: str,
    service: str,
    target: float,
    good: Mapping[str, Any],
    total: Mapping[str, Any],
) -> dict[str, Any]:
    slug = _slug(name)
    return {
        "apiVersion": "openslo/v1",
        "kind": "SLO",
        "metadata": {"name": slug, "displayName": _cut(name, _SHOWN)},
        "spec": {
            "description": _cut(name, _DESCRIBED),
            "service": service,
            "indicator": {
                "metadata": {"name": f"{slug}-share"},
                "spec": {
                    "ratioMetric": {
                        "counter": True,
                        "good": {"metricSource": {"type": "orchrisk", "spec": dict(good)}},
                        "total": {"metricSource": {"type": "orchrisk", "spec": dict(total)}},
                    }
                },
            },
            "timeWindow": [{"duration": WINDOW, "isRolling": True}],
            "budgetingMethod": "Occurrences",
            "objectives": [{"displayName": _cut(name, _SHOWN), "target": target}],
        },
    }


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def policy(contracts: Contracts) -> Export:
    """Return the accesses that were granted, all others denied, for whatever enforces them.

    `analysis/policy.schema.json` is its form. Names are globs, as in the contract; an access covers
    those before it in `lattice`.
    """
    agents: dict[str, dict[str, list[str]]] = {}
    for grant in contracts.access:
        granted = agents.setdefault(grant.agent, {}).setdefault(grant.resource, [])
        if grant.access not in granted:
            granted.append(grant.access)
    document = {
        "version": 1,
        "contract_sha256": contracts.digest,
        "default": "deny",
        "lattice": [word for word in LATTICE if word in ACCESSES],
        "agents": [
            {
                "agent": agent,
                "allow": [
                    {"resource": resource, "access": sorted(granted, key=LATTICE.index)}
                    for resource, granted in resources.items()
                ],
            }
            for agent, resources in agents.items()
        ],
        "sensitive": sorted(contracts.sensitive),
    }
    return _some([document] if agents else [], [], contracts, "an access that is granted")


def _some(
    documents: Sequence[Mapping[str, Any]], left_out: Sequence[str], contracts: Contracts, what: str
) -> Export:
    if not documents:
        raise ContractError(f"{contracts.path}: nothing to export: there is not {what}.")
    return Export(tuple(documents), tuple(left_out))


def _slug(name: str) -> str:
    """Return a name of RFC 1123: lower case, digits and dashes, with a mark of the full name."""
    plain = _NO_SLUG.sub("-", name.lower()).strip("-") or ("any" if name else "")
    if plain and plain == name and len(plain) <= _SLUG:
        return plain
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{plain[:_SLUG].strip('-')}-{mark}".strip("-")


FORMS = MappingProxyType({"envoy": envoy, "openslo": openslo, "policy": policy})
