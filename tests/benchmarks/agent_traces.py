"""What the drawn agent system says: traces of 8 to 15 spans of eight services, in plain values.

A value that differs from span to span is a `Slot`; whoever writes the dump fills it in.
"""

import json
import random
from dataclasses import dataclass, field
from enum import StrEnum

SERVICES = (
    *("gateway", "concierge", "research-agent", "tool-runner"),
    *("crm-api", "search-api", "payments-api", "mailer"),
)
SMALLEST, LARGEST = 8, 15  # spans of a trace
INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = range(1, 6)


class Kind(StrEnum):
    """What stands in a slot; every kind has one width in protobuf and one in JSON."""

    TRACE = "trace id"
    SPAN = "span id"
    TIME = "time"
    INTEGER = "integer"  # 1,000 to 9,999
    DOUBLE = "double"  # 0.01001 to 0.09999
    DIGITS = "digits"
    HEX = "hex"


@dataclass(frozen=True)
class Slot:
    """A place for a value; slots with one number hold the same value."""

    kind: Kind
    number: int


Text = str | tuple["str | Slot", ...]
Value = Text | Slot | int | float | bool | list[str]
Attributes = dict[str, Value]


@dataclass
class Slots:
    """Hands out slots: spans, traces and times are counted apart, all other values together."""

    values: int = 0

    def new(self, kind: Kind) -> Slot:
        """Return a slot of a value that no other slot has."""
        self.values += 1
        return Slot(kind, self.values - 1)


@dataclass(frozen=True)
class Event:
    """An event at the end of its span."""

    name: str
    attributes: Attributes


@dataclass(frozen=True)
class Span:
    """A span of a template; `start` and `end` are shares of its trace's duration."""

    service: str
    name: str
    kind: int
    parent: int | None  # position in the trace
    start: float
    end: float
    attributes: Attributes
    events: tuple[Event, ...] = ()
    linked: int | None = None  # position in the trace
    failed: str = ""


@dataclass
class _Trace:
    draw: random.Random
    slots: Slots
    is_long: bool
    conversation: Slot
    spans: list[Span] = field(default_factory=list)

    def add(
        self,
        service: str,
        name: str,
        kind: int,
        parent: int | None,
        values: Attributes,
        **more: object,
    ) -> int:
        """Append a span that lies within its parent; return its position."""
        first, last = (0.0, 1.0) if parent is None else _within(self.spans[parent], self.draw)
        # As instrumentations of agents do, and those of HTTP, databases and queues do not.
        if "gen_ai.operation.name" in values:
            values = {**values, "gen_ai.conversation.id": ("conv_", self.conversation)}
        self.spans.append(Span(service, name, kind, parent, first, last, values, **more))  # type: ignore[arg-type]
        return len(self.spans) - 1

    def new(self, kind: Kind = Kind.DIGITS) -> Slot:
        return self.slots.new(kind)


def _within(parent: Span, draw: random.Random) -> tuple[float, float]:
    span = parent.end - parent.start
    first = parent.start + span * draw.uniform(0.02, 0.5)
    return first, first + (parent.end - first) * min(0.98, draw.lognormvariate(-1.2, 0.7))


def resource(service: str, draw: random.Random) -> Attributes:
    """Return a service's resource as its SDK and a Kubernetes processor write it."""
    pod = f"{service}-7c9f4b6d5-{draw.choice(['x2x7k', 'p9q4z', 'm3n8v'])}"
    return {
        "service.name": service,
        "service.namespace": "assist",
        "service.version": "2.14.3",
        "service.instance.id": pod,
        "deployment.environment.name": "production",
        "host.name": f"node-{draw.randrange(12):02}",
        "k8s.pod.name": pod,
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": "1.39.1",
    }


def trace(draw: random.Random, slots: Slots, size: int, *, is_long: bool) -> list[Span]:
    """Return one request to the agent system as `size` spans; parents come before children."""
    made = _Trace(draw, slots, is_long, slots.new(Kind.HEX))
    root = made.add(
        "gateway",
        "POST /v1/assist/{conversation}",
        SERVER,
        None,
        {
            "http.request.method": "POST",
            "http.route": "/v1/assist/{conversation}",
            "url.path": ("/v1/assist/", made.new()),
            "url.scheme": "https",
            "network.protocol.version": "1.1",
            "server.address": "assist.example.com",
            "server.port": 443,
            "user_agent.original": "assist-web/5.1 (Macintosh; Intel Mac OS X 14_5)",
            "http.response.status_code": 200,
            "enduser.id": ("user-", made.new()),
        },
    )
    agent = _agent(made, root, "concierge", "concierge")
    steps = [(_chat, 1), (_cache, 1), (_retrieval, 2), (_research, 2), (_message, 2), (_lookup, 4)]
    while (left := size - len(made.spans)) > 0:
        step = draw.choice([step for step, spans in steps if spans <= left])
        step(made, agent)
    return made.spans


def _agent(made: _Trace, parent: int, service: str, name: str) -> int:
    return made.add(
        service,
        f"invoke_agent {name}",
        INTERNAL,
        parent,
        {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": name,
            "gen_ai.agent.id": f"asst_{name}_v7",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4.1-2025-04-14",
            "orch.turn.index": made.draw.randrange(1, 9),
            "orch.context.hash.in": made.new(Kind.HEX),
            "orch.context.hash.out": made.new(Kind.HEX),
        },
    )


def _chat(made: _Trace, parent: int) -> None:
    draw = made.draw
    model = draw.choice(["gpt-4.1-2025-04-14", "claude-sonnet-4-5", "gpt-4.1-mini-2025-04-14"])
    reason = draw.choice(["stop", "tool_calls", "stop", "length"])
    provider = "anthropic" if model.startswith("claude") else "openai"
    values: Attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "server.address": f"api.{provider}.com",
        "server.port": 443,
        "gen_ai.request.model": model,
        "gen_ai.response.model": model,
        "gen_ai.response.id": ("chatcmpl-", made.new(Kind.HEX)),
        "gen_ai.response.finish_reasons": [reason],
        "gen_ai.usage.input_tokens": made.new(Kind.INTEGER),
        "gen_ai.usage.output_tokens": made.new(Kind.INTEGER),
        "gen_ai.request.temperature": draw.choice([0.2, 0.7]),
        "gen_ai.request.max_tokens": draw.choice([1_024, 4_096]),
        "gen_ai.output.type": "text",
        "llm.cost.total": made.new(Kind.DOUBLE),
    }
    if made.is_long:
        values["gen_ai.input.messages"] = _said(made, "user")
        values["gen_ai.output.messages"] = _said(made, "assistant")
    events = (
        (Event("gen_ai.choice", {"index": 0, "finish_reason": reason}),)
        if draw.random() < 0.3
        else ()
    )
    made.add(made.spans[parent].service, f"chat {model}", CLIENT, parent, values, events=events)


_SENTENCE = (
    "the customer asked whether an invoice of last month could be split, and “nobody” told café "
    'Zoë in Kraków that the "premium" plan\nneeds a new contract — naïve, 東京 said; so we look up '
    "orders, limits and dates before we answer with a plan\tfor the next week 🙂"
)
_WORDS = _SENTENCE.split(" ")


def _said(made: _Trace, role: str) -> Text:
    text, target = "", made.draw.randrange(2_000, 8_000)
    while len(text) < target:
        text += " ".join(made.draw.choices(_WORDS, k=24)) + " @@ "
    messages = [{"role": role, "parts": [{"type": "text", "content": text}]}]
    pieces = json.dumps(messages, ensure_ascii=False).split("@@")
    parts: list[str | Slot] = []
    for piece in pieces[:-1]:
        parts += [piece, made.new(Kind.HEX)]
    return (*parts, pieces[-1])


def _tool(made: _Trace, parent: int, name: str) -> int:
    return made.add(
        "tool-runner",
        f"execute_tool {name}",
        INTERNAL,
        parent,
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.call.id": ("call_", made.new(Kind.HEX)),
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.arguments": (f'{{"{name}_id": "', made.new(), '", "limit": 20}'),
            "gen_ai.agent.name": "concierge",
            "orch.resource.name": f"assist.{name}",
            "orch.resource.access": "read",
            "orch.auth.scopes.granted": [f"{name}:read", "profile:read"],
        },
    )


def _lookup(made: _Trace, parent: int) -> None:
    draw = made.draw
    service, noun = draw.choice([("crm-api", "customers"), ("payments-api", "invoices")])
    failed = draw.random() < 0.06
    status = 503 if failed else 200
    path = (f"/v2/{noun}/", made.new())
    error: Attributes = {"error.type": "503"} if failed else {}
    tool = _tool(made, parent, noun)
    client = made.add(
        "tool-runner",
        "GET",
        CLIENT,
        tool,
        {
            "http.request.method": "GET",
            "url.full": (f"https://{service}.internal:8443", *path, "?expand=items"),
            "server.address": f"{service}.internal",
            "server.port": 8443,
            "http.response.status_code": status,
            "network.protocol.version": "1.1",
            "http.request.resend_count": draw.randrange(2),
            "orch.boundary.timeout_ms": 2500.5,
        }
        | error,
        failed="503 Service Unavailable" if failed else "",
    )
    server = made.add(
        service,
        f"GET /v2/{noun}/{{id}}",
        SERVER,
        client,
        {
            "http.request.method": "GET",
            "http.route": f"/v2/{noun}/{{id}}",
            "url.path": path,
            "url.scheme": "https",
            "network.protocol.version": "1.1",
            "server.address": f"{service}.internal",
            "server.port": 8443,
            "client.address": "10.8.14.27",
            "network.peer.address": "10.8.14.27",
            "http.response.status_code": status,
            "user_agent.original": "python-httpx/0.28.1",
        }
        | error,
        events=(_exception(made),) if failed else (),
        failed="upstream failed" if failed else "",
    )
    made.add(
        service,
        f"SELECT {noun}",
        CLIENT,
        server,
        {
            "db.system.name": "postgresql",
            "db.namespace": "crm",
            "db.collection.name": noun,
            "db.operation.name": "SELECT",
            "db.query.text": (
                f"SELECT id, name, state, updated_at FROM {noun} WHERE id = ",
                made.new(),
                f" AND region = 'eu-{draw.randrange(9)}' ORDER BY updated_at DESC LIMIT 20",
            ),
            "db.query.summary": f"SELECT {noun}",
            "db.response.returned_rows": draw.randrange(20),
            "server.address": "pg-main.internal",
            "server.port": 5432,
            "db.user": "crm_reader",
        },
    )


def _exception(made: _Trace) -> Event:
    message = ("connection to replica 10.8.3.4:5432 lost after ", made.new(), " ms")
    return Event(
        "exception",
        {
            "exception.type": "crm.errors.ReplicaLost",
            "exception.message": message,
            "exception.stacktrace": (
                'Traceback (most recent call last):\n  File "/app/crm/api.py", line 214, in get\n'
                '    row = await pool.fetchrow(query, key)\n  File "/app/crm/pool.py", line 88, in '
                "fetchrow\n    raise ReplicaLost(message)\ncrm.errors.ReplicaLost: ",
                *message,
            ),
            "exception.escaped": False,
        },
    )


def _retrieval(made: _Trace, parent: int) -> None:
    tool = _tool(made, parent, "handbook")
    made.add(
        "search-api",
        "query handbook",
        CLIENT,
        tool,
        {
            "db.system.name": "qdrant",
            "db.collection.name": "handbook",
            "db.operation.name": "query",
            "db.response.returned_rows": 8,
            "gen_ai.data_source.id": "handbook-2025",
            "server.address": "qdrant.internal",
            "server.port": 6334,
            "search.min_score": made.new(Kind.DOUBLE),
            "search.request.id": made.new(Kind.HEX),
        },
    )


def _research(made: _Trace, parent: int) -> None:
    _chat(made, _agent(made, parent, "research-agent", "researcher"))


def _cache(made: _Trace, parent: int) -> None:
    made.add(
        made.spans[parent].service,
        "GET",
        CLIENT,
        parent,
        {
            "db.system.name": "redis",
            "db.operation.name": "GET",
            "db.query.text": ("GET session:", made.new(Kind.HEX)),
            "db.namespace": "0",
            "cache.hit": made.draw.random() < 0.8,
            "server.address": "redis.internal",
            "server.port": 6379,
            "network.peer.address": "10.8.20.5",
            "network.peer.port": 6379,
        },
    )


def _message(made: _Trace, parent: int) -> None:
    message = made.new(Kind.HEX)
    values: Attributes = {
        "messaging.system": "kafka",
        "messaging.destination.name": "assist.mail.v1",
        "messaging.message.id": message,
        "messaging.destination.partition.id": str(made.draw.randrange(12)),
        "messaging.client.id": "assist-events",
        "server.address": "kafka-0.kafka.internal",
        "server.port": 9092,
    }
    sent: Attributes = {"messaging.operation.name": "send", "messaging.operation.type": "send"}
    got: Attributes = {
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.consumer.group.name": "mailer",
        "messaging.kafka.message.offset": made.new(Kind.INTEGER),
    }
    service = made.spans[parent].service
    # A child needs no link to its parent; who takes messages in batches may write one all the same.
    is_linked = made.draw.random() < 0.1
    producer = made.add(service, "send assist.mail.v1", PRODUCER, parent, values | sent)
    made.add(
        *("mailer", "process assist.mail.v1", CONSUMER, producer, values | got),
        linked=producer if is_linked else None,
    )
