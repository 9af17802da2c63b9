"""The system observed: its services and hosts, and the attributes their instrumentations write.

Python services write the old keys, as their instrumentations still do unless told otherwise;
Java and Node services write the current ones.
"""

from typing import NamedTuple

Value = str | bool | int | float | tuple[str, ...]
Attributes = tuple[tuple[str, Value], ...]


class Host(NamedTuple):
    """A process that exports spans: its resource, and how its SDK fills in span flags."""

    service: str
    name: str
    version: str
    language: str
    namespace: str = "loans"
    pilot: str = "context-token"

    @property
    def flags(self) -> int:
        """Low byte of span flags: Python leaves it empty, others write the sampled bit."""
        return 0 if self.language == "python" else 1

    def resource(self, cohort: str) -> Attributes:
        """Resource attributes, with the side of the pilot the month belongs to."""
        return (
            ("service.name", self.service),
            ("service.namespace", self.namespace),
            ("service.version", self.version),
            ("service.instance.id", f"{self.name}-1"),
            ("host.name", self.name),
            ("telemetry.sdk.language", self.language),
            ("telemetry.sdk.name", "opentelemetry"),
            ("deployment.environment.name", "production"),
            ("orch.pilot.name", self.pilot),
            ("orch.pilot.phase", "before" if cohort == "baseline" else "after"),
        )


UI = Host("loan-ui", "ui-a", "5.2.0", "nodejs")
PLANNER = Host("planner", "planner-a", "2.8.1", "python")
PILOT_PLANNER = Host("planner", "planner-a", "3.0.0", "python")
GATEWAY = Host("model-gateway", "gateway-a", "1.14.2", "python")
CREDIT = Host("credit-score", "credit-a", "7.1.0", "java")
CRM_A = Host("crm", "crm-a", "3.4.1", "python")
CRM_B = Host("crm", "crm-b", "3.4.1", "python")
NEW_CRM_VERSION = "3.5.0"
FRAUD = Host("fraud-check", "fraud-a", "1.0.9", "java")
ORDERS = Host("orders", "orders-a", "4.0.3", "java")
NOTIFIER = Host("notifier", "notifier-a", "2.2.0", "java")
AUDIT = Host("audit", "audit-a", "1.3.0", "java")
MAILER = Host("mailer", "mailer-a", "0.9.4", "python")

SERVICES = tuple(
    host.service
    for host in (UI, PLANNER, GATEWAY, CREDIT, CRM_A, FRAUD, ORDERS, NOTIFIER, AUDIT, MAILER)
)

HTTPX = "opentelemetry.instrumentation.httpx"
FASTAPI = "opentelemetry.instrumentation.fastapi"
REDIS = "opentelemetry.instrumentation.redis"
PSYCOPG = "opentelemetry.instrumentation.psycopg2"
KAFKA_PYTHON = "opentelemetry.instrumentation.kafka"
NODE_HTTP = "@opentelemetry/instrumentation-http"
AGENT_SDK = "pydantic-ai"
OPENINFERENCE = "openinference.instrumentation.anthropic"
TOMCAT = "io.opentelemetry.tomcat-10.0"
JAVA_HTTP = "io.opentelemetry.java-http-client"
JDBC = "io.opentelemetry.jdbc"
KAFKA_JAVA = "io.opentelemetry.kafka-clients-2.6"

OFFICER = "loan-officer"
REVIEWER = "risk-reviewer"
OFFICER_MODEL = "gpt-4o-mini-2024-07-18"
REVIEWER_MODEL = "claude-3-5-haiku-20241022"
USD_A_MILLION_TOKENS = {OFFICER_MODEL: (0.15, 0.6), REVIEWER_MODEL: (0.8, 4.0)}


class Endpoint(NamedTuple):
    """One HTTP operation, as its callers and its server describe it."""

    method: str
    server: str
    route: str

    def url(self, key: object = "") -> str:
        """The address with an id in place of the route's parameter."""
        return f"http://{self.server}{self.route.replace('{id}', str(key))}"


RUN_AGENT = Endpoint("POST", "planner:8000", f"/v1/agents/{OFFICER}/runs")
COMPLETIONS = Endpoint("POST", "model-gateway:4000", "/v1/chat/completions")
MESSAGES = Endpoint("POST", "model-gateway:4000", "/v1/messages")
SCORE = Endpoint("GET", "credit-score:8080", "/v1/scores/{id}")
CUSTOMER = Endpoint("GET", "crm:8000", "/v1/customers/{id}")
FRAUD_CHECK = Endpoint("GET", "fraud-check:8080", "/v1/checks/{id}")
APPLICATIONS = Endpoint("POST", "orders:8080", "/v1/applications")
MAIL = Endpoint("POST", "mailer:8000", "/v1/mails")


class Query(NamedTuple):
    """One SQL statement, with the attributes its driver's instrumentation writes."""

    name: str
    scope: str
    attributes: Attributes


def _psycopg(database: str, verb: str, statement: str, user: str) -> Query:
    return Query(
        verb,
        PSYCOPG,
        (
            ("db.system", "postgresql"),
            ("db.name", database),
            ("db.statement", statement),
            ("db.user", user),
            ("net.peer.name", f"{database}-db"),
            ("net.peer.port", 5432),
        ),
    )


def _jdbc(database: str, verb: str, table: str, text: str) -> Query:
    return Query(
        f"{verb} {database}.{table}",
        JDBC,
        (
            ("db.system.name", "postgresql"),
            ("db.namespace", database),
            ("db.collection.name", table),
            ("db.operation.name", verb),
            ("db.query.text", text),
            ("server.address", f"{database}-db"),
            ("server.port", 5432),
        ),
    )


READ_CUSTOMER = _psycopg(
    "crm", "SELECT", "SELECT id, name, segment, since FROM customers WHERE id = %s", "crm_app"
)
READ_ACCOUNTS = _psycopg(
    "crm",
    "SELECT",
    "SELECT a.id, a.balance FROM accounts a WHERE a.customer_id = %s AND a.closed IS NULL",
    "crm_app",
)
READ_HISTORY = _psycopg(
    "orders",
    "SELECT",
    "SELECT id, amount, state FROM applications WHERE customer_id = %s ORDER BY created DESC",
    "reviewer_ro",
)
CREEP_UPDATE = _psycopg(
    "orders",
    "UPDATE",
    "UPDATE applications SET risk_grade = %s WHERE customer_id = %s",
    "reviewer_rw",
)
CREEP_CARDS = _psycopg(
    "crm",
    "SELECT",
    "SELECT pan_last4, expires, limit_amount FROM payment_cards WHERE customer_id = %s",
    "reviewer_rw",
)
INSERT_APPLICATION = _jdbc(
    "orders",
    "INSERT",
    "applications",
    "INSERT INTO applications (customer_id, amount, state) VALUES (?, ?, ?)",
)
FIND_APPLICATION = _jdbc(
    "orders",
    "SELECT",
    "applications",
    "SELECT id FROM applications WHERE idempotency_key = ?",
)
INSERT_NOTIFICATION = _jdbc(
    "orders",
    "INSERT",
    "notifications",
    "INSERT INTO notifications (application_id, channel) VALUES (?, ?)",
)
INSERT_AUDIT = _jdbc(
    "orders", "INSERT", "audit_log", "INSERT INTO audit_log (event, at) VALUES (?, ?)"
)


def redis(command: str, database: int, host: str) -> Attributes:
    """What the Python client's instrumentation writes for one command with one key."""
    return (
        ("db.system", "redis"),
        ("db.redis.database_index", database),
        ("db.statement", f"{command} ?" if command == "GET" else f"{command} ? ?"),
        ("db.redis.args_length", 2 if command == "GET" else 3),
        ("net.peer.name", host),
        ("net.peer.port", 6379),
    )


GET_SESSION = redis("GET", 0, "session-store")
SET_SESSION = redis("SET", 0, "session-store")
GET_CACHED_SCORE = redis("GET", 1, "score-cache")


def agent(name: str) -> Attributes:
    """An agent run, as the agent SDK writes it."""
    return (
        ("gen_ai.operation.name", "invoke_agent"),
        ("gen_ai.agent.name", name),
    )


def tool(name: str) -> Attributes:
    """A tool execution, as the agent SDK writes it."""
    return (
        ("gen_ai.operation.name", "execute_tool"),
        ("gen_ai.tool.name", name),
        ("gen_ai.tool.type", "function"),
    )


CHAT = (
    ("gen_ai.operation.name", "chat"),
    ("gen_ai.provider.name", "openai"),
    ("gen_ai.request.model", "gpt-4o-mini"),
    ("gen_ai.response.model", OFFICER_MODEL),
    ("server.address", "model-gateway"),
    ("server.port", 4000),
)
REVIEW_LLM = (
    ("openinference.span.kind", "LLM"),
    ("llm.provider", "anthropic"),
    ("llm.system", "anthropic"),
    ("llm.model_name", REVIEWER_MODEL),
)
REVIEW_AGENT = (("openinference.span.kind", "AGENT"), ("agent.name", REVIEWER))
REVIEW_TOOL = (("openinference.span.kind", "TOOL"), ("tool.name", "get_history"))

PUBLISH = (
    ("messaging.system", "kafka"),
    ("messaging.destination", "loan-events"),
    ("messaging.operation", "publish"),
    ("messaging.kafka.partition", 0),
)


def consume(group: str) -> Attributes:
    """A consumer's processing of one message, as the Java agent writes it."""
    return (
        ("messaging.system", "kafka"),
        ("messaging.destination.name", "loan-events"),
        ("messaging.operation.type", "process"),
        ("messaging.operation.name", "process"),
        ("messaging.consumer.group.name", group),
        ("messaging.destination.partition.id", "0"),
    )


CONSUME_NOTIFIER = consume("notifier")
CONSUME_AUDIT = consume("audit")
