"""Reads OpenAPI documents: which operations are published, with which answers and versions."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from analysis.contract_lines import LOADER, shown
from analysis.contracts import ContractError, Document

MAX_BYTES = 2 * 1024 * 1024
_TEXTS = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
MAX_DEPTH = 60
METHODS = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE")
# So many addresses at most are made of the variables of one server.
MAX_SERVERS = 64
# A parameter in a header or a query that tells which version of an API is asked for.
_VERSION = re.compile(r"(?:x-)?(?:api-|accept-)?version", re.ASCII)
_VARIABLE = re.compile(r"\{([^}/]*)\}")


@dataclass(frozen=True)
class Operation:
    """A method on a path; `statuses` has codes, ranges such as 4XX, or default; empty is any."""

    method: str
    path: str  # as published, without the server's
    bases: tuple[str, ...]  # paths of its servers
    statuses: frozenset[str]
    versions: frozenset[str] = frozenset()  # that its version parameter may have; empty is any

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
                taken = (*_parameters(found, content), *_parameters(told, content))
                operations.append(
                    Operation(
                        method,
                        str(name),
                        _bases(told) or own,
                        _statuses(told),
                        _versions(taken, content),
                    )
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
            for event in yaml.parse(text, LOADER):
                # A few aliases of aliases grow into billions of values.
                if isinstance(event, yaml.AliasEvent):
                    raise ContractError(
                        f"{where}: `*{shown(event.anchor or '')}`: aliases are not read."
                    )
                depth += isinstance(event, yaml.CollectionStartEvent)
                depth -= isinstance(event, yaml.CollectionEndEvent)
                if depth > MAX_DEPTH:
                    raise ContractError(f"{where}: nested deeper than {MAX_DEPTH} levels.")
            # A date is a text here: `version: 2026-01-31` must not become a day.
            content = yaml.load(text, _TEXTS)  # noqa: S506 - texts, lists, mappings only
    except (UnicodeDecodeError, ValueError, yaml.YAMLError, RecursionError) as error:
        said = " ".join(str(error).split())[:160]
        raise ContractError(f"{where}: neither JSON nor YAML: {said}") from error
    if not isinstance(content, dict):
        raise ContractError(f"{where}: no OpenAPI 3 and no Swagger 2.0 document.")
    return content


def _bases(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the paths of the servers; a variable without a list of values is any one segment."""
    servers = content.get("servers")
    if not isinstance(servers, list):
        return ()
    paths: list[str] = []
    for server in servers:
        if not isinstance(server, dict):
            continue
        for url in _addresses(str(server.get("url", "")), server.get("variables")):
            # Braces are no part of an address, so that no parser of addresses is asked.
            host, slash, path = url.partition("//")[2].partition("/")
            paths.append((slash + path if host else url).rstrip("/"))
    return tuple(dict.fromkeys(paths))


def _addresses(url: str, variables: object) -> Iterator[str]:
    """Yield an address with every value that its variables may have, where they are listed."""
    told = variables if isinstance(variables, dict) else {}
    listed = {
        name: [str(value) for value in values]
        for name in dict.fromkeys(_VARIABLE.findall(url))
        if isinstance(told.get(name), dict)
        and isinstance(values := told[name].get("enum"), list)
        and values
    }
    combined = 1
    for values in listed.values():
        combined *= len(values)
    if combined > MAX_SERVERS:
        listed = {}
    for chosen in product(*listed.values()):
        yield _filled(url, dict(zip(listed, chosen, strict=True)))


def _filled(url: str, values: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: values.get(found[1], found[0]), url)


def _parameters(content: Mapping[str, Any], whole: Mapping[str, Any]) -> list[dict[str, Any]]:
    listed = content.get("parameters")
    resolved = [_resolved(each, whole) for each in listed] if isinstance(listed, list) else []
    return [each for each in resolved if isinstance(each, dict)]


def _versions(parameters: tuple[dict[str, Any], ...], content: Mapping[str, Any]) -> frozenset[str]:
    """Return the values that a parameter which tells the version may have."""
    told: set[str] = set()
    for each in parameters:
        name = str(each.get("name", "")).lower().replace("_", "-")
        if str(each.get("in")) not in ("header", "query") or not _VERSION.fullmatch(name):
            continue
        schema = _resolved(each.get("schema", each), content)
        if isinstance(schema, dict):
            listed = schema.get("enum", [schema["const"]] if "const" in schema else [])
            told |= {str(value) for value in listed} if isinstance(listed, list) else set()
    return frozenset(told)


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
