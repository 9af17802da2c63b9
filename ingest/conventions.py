"""Which attribute keys fill which column of the lake, in order of trust: a table, nothing else."""

from dataclasses import dataclass, field
from enum import StrEnum


class Meaning(StrEnum):
    """How the text of an attribute becomes a cell."""

    TEXT = "text"
    LOWER = "lower"  # closed sets that libraries spell in any case
    UPPER = "upper"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TEXTS = "texts"  # a list, or a text split on blanks and commas
    JOINED = "joined"  # a list written as one text with commas
    HASHED = "hashed"  # names a person, or works like a key
    MESSAGE = "message"  # first line, masked
    QUERY = "query"  # literals masked
    URL_PATH = "url path"
    HOST = "host"
    PORT = "port"
    LAST_PART = "last part"  # of an ARN or a queue's URL
    LOG_LEVEL = "log level"
    FINISH = "finish reason"
    EPOCH_NS = "time"
    DIGEST = "digest"  # hash of the text
    CANONICAL = "canonical digest"  # hash of JSON, whatever its spacing and order
    LAST_USER = "last user message digest"
    LENGTH = "length of a JSON list"
    ERROR_CODE = "HTTP status in a message"
    ENVOY_FAULT = "envoy fault"  # response flags DI, FI


class Place(StrEnum):
    """Where a key is looked for."""

    ANYWHERE = "span, then scope, then resource"
    RESOURCE_FIRST = "resource, then span"
    SPAN = "span only"


@dataclass(frozen=True)
class Key:
    """An attribute key that means something else than its column's other keys."""

    name: str
    scale: float = 1.0
    shift: float = 0.0
    meaning: Meaning | None = None


@dataclass(frozen=True)
class Column:
    """A column of `schema.PROMOTED` and where its value is found; the first usable key wins."""

    name: str
    keys: tuple[str | Key, ...]
    meaning: Meaning = Meaning.TEXT
    place: Place = Place.ANYWHERE
    missing: frozenset[str] = frozenset()  # lower-case values that say nothing
    renames: dict[str, str] = field(default_factory=dict, hash=False)
    patterns: tuple[str, ...] = ()  # regular expressions on keys, trusted least


DB_SYSTEMS = {
    "mssql": "microsoft.sql_server",
    "dynamodb": "aws.dynamodb",
    "cosmosdb": "azure.cosmosdb",
    "spanner": "gcp.spanner",
    "redshift": "aws.redshift",
    "oracle": "oracle.db",
    "db2": "ibm.db2",
    "informix": "ibm.informix",
    "netezza": "ibm.netezza",
    "hanadb": "sap.hana",
    "maxdb": "sap.maxdb",
    "h2": "h2database",
    "firebird": "firebirdsql",
    "ingres": "actian.ingres",
    "adabas": "softwareag.adabas",
    "intersystems_cache": "intersystems.cache",
    "chromadb": "chroma",
    "pg_vector": "pgvector",
}

PROVIDERS = {
    "az.ai.openai": "azure.ai.openai",
    "az.ai.inference": "azure.ai.inference",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "xai": "x_ai",
    "azure": "azure.ai.openai",
    "aws": "aws.bedrock",
    "amazon": "aws.bedrock",
    "mistralai": "mistral_ai",
    "openai.chat": "openai",
    "openai.responses": "openai",
    "openai.completion": "openai",
    "openai.embedding": "openai",
    "anthropic.messages": "anthropic",
}

# Frameworks name themselves where the provider belongs.
FRAMEWORKS = frozenset(
    {
        "langchain",
        "langgraph",
        "crewai",
        "strands-agents",
        "spring_ai",
        "microsoft.agent_framework",
        "gcp.vertex.agent",
        "az.ai.agents",
        "litellm",
        "autogen",
        "semantic_kernel",
        "haystack",
        "llama_index",
        "pydantic_ai",
        "openai_agents",
    }
)

# Monocle's `span.type`, in words that other vendors use too.
MONOCLE_KINDS = {
    "inference": "llm",
    "inference.framework": "llm",
    "inference.modelapi": "llm",
    "agentic.invocation": "agent",
    "agentic.tool.invocation": "tool",
    "agentic.mcp.invocation": "tool",
    "agentic.delegation": "handoff",
    "agentic.request": "chain",
    "agentic.turn": "chain",
    "retrieval": "retriever",
    "embedding.modelapi": "embedding",
    "generic": "task",
}

_UNKNOWN = frozenset({"unknown"})
_A, _T = "traceloop.association.properties.", "langsmith.metadata."
_RESOURCE = Place.RESOURCE_FIRST
_SPAN = Place.SPAN

COLUMNS: tuple[Column, ...] = (
    # resource
    Column("service_name", ("service.name",), place=_RESOURCE),
    Column("service_version", ("service.version",), place=_RESOURCE),
    Column("service_namespace", ("service.namespace",), place=_RESOURCE),
    Column("service_instance_id", ("service.instance.id",), place=_RESOURCE),
    Column(
        "environment",
        ("deployment.environment.name", "deployment.environment", "langfuse.environment"),
        place=_RESOURCE,
    ),
    Column(
        "host",
        ("host.id", "host.name", "host.ip", "k8s.node.name", "container.id", "k8s.pod.name"),
        place=_RESOURCE,
    ),
    Column("sdk_language", ("telemetry.sdk.language",), place=_RESOURCE),
    # what kind of work
    Column("node_type", ("orch.node.type",), Meaning.LOWER, _SPAN),
    Column("operation", ("gen_ai.operation.name",), Meaning.LOWER, _SPAN),
    Column(
        "vendor_kind",
        (
            "openinference.span.kind",
            "traceloop.span.kind",
            "langfuse.observation.type",
            "langsmith.span.kind",
            "genkit:metadata:subtype",
            "spring.ai.kind",
            "ai.operationId",
            "operation.name",
            "span.type",
        ),
        Meaning.LOWER,
        _SPAN,
        missing=frozenset({"unknown", "span"}),
        renames=MONOCLE_KINDS,
    ),
    Column("asgi_event", ("asgi.event.type",), place=_SPAN),
    Column("boundary_name", ("orch.boundary.name",), place=_SPAN),
    # who
    Column(
        "agent_name",
        (
            "gen_ai.agent.name",
            "agent.name",
            "graph.node.name",
            "graph.node.id",
            "agent_name",
            "recipient_agent_type",
            "ai.telemetry.functionId",
            "langsmith.trace.name",
            "llmmas.agent.id",
        ),
        place=_SPAN,
        missing=_UNKNOWN,
    ),
    Column("agent_id", ("gen_ai.agent.id",), place=_SPAN),
    Column("entity_name", ("traceloop.entity.name", "entity.1.name"), place=_SPAN),
    Column("executor_id", ("executor.id",), place=_SPAN),
    Column(
        "workflow_name",
        (
            "gen_ai.workflow.name",
            "traceloop.workflow.name",
            "workflow.name",
            "workflow.id",
            "traceloop.entity.path",
        ),
    ),
    Column("graph_node_id", ("graph.node.id",), place=_SPAN),
    Column("graph_node_parent_id", ("graph.node.parent_id",), place=_SPAN),
    Column(
        "handoff_from",
        ("gen_ai.handoff.from_agent", "gen_ai.agent.handoff_parent", "entity.1.from_agent"),
        place=_SPAN,
    ),
    Column("handoff_to", ("gen_ai.handoff.to_agent", "entity.1.to_agent"), place=_SPAN),
    Column(
        "message_sender",
        ("sender_agent_type", "message.source_id", "llmmas.source_agent.id"),
        place=_SPAN,
    ),
    Column(
        "conversation_id",
        (
            "gen_ai.conversation.id",
            "session.id",
            f"{_A}thread_id",
            f"{_A}session_id",
            f"{_A}conversation_id",
            f"{_A}chat_id",
            "langfuse.session.id",
            f"{_T}session_id",
            f"{_T}thread_id",
            f"{_T}conversation_id",
            "gcp.vertex.agent.session_id",
            "gen_ai.thread.id",
            "ai.telemetry.metadata.sessionId",
            "spring.ai.chat.client.conversation.id",
            "llmmas.session.id",
        ),
        missing=frozenset({"unknown", "none", "null", "default"}),
    ),
    Column("turn_index", ("orch.turn.index",), Meaning.INTEGER, _SPAN),
    Column(
        "user_id",
        (
            "enduser.id",
            "user.id",
            "enduser.pseudo.id",
            "user.hash",
            "langfuse.user.id",
            "gen_ai.user",
            "ai.telemetry.metadata.userId",
            "litellm.end_user.id",
            f"{_A}user_id",
            f"{_T}user_id",
        ),
        Meaning.HASHED,
    ),
    Column(
        "tenant",
        (
            "tenant.id",
            "tenant_id",
            "org.id",
            "organization.id",
            "customer.id",
            "metadata.user_api_key_team_id",
        ),
    ),
    # model
    Column(
        "provider",
        (
            "gen_ai.provider.name",
            "gen_ai.system",
            "llm.provider",
            "llm.system",
            "ai.model.provider",
            f"{_T}ls_provider",
        ),
        Meaning.LOWER,
        _SPAN,
        missing=FRAMEWORKS | _UNKNOWN,
        renames=PROVIDERS,
    ),
    Column(
        "response_model",
        (
            "gen_ai.response.model",
            "llm.response.model_name",
            "llm.model_name",
            "ai.response.model",
        ),
        place=_SPAN,
        missing=_UNKNOWN,
    ),
    Column(
        "request_model",
        (
            "gen_ai.request.model",
            "llm.request.model_name",
            "embedding.model_name",
            "reranker.model_name",
            "ai.model.id",
            "langfuse.observation.model.name",
            f"{_T}ls_model_name",
            "model_name",
        ),
        place=_SPAN,
        missing=_UNKNOWN,
    ),
    Column(
        "temperature",
        ("gen_ai.request.temperature", "llm.temperature", "ai.settings.temperature"),
        Meaning.NUMBER,
        _SPAN,
    ),
    Column(
        "top_p",
        ("gen_ai.request.top_p", "llm.top_p", "ai.settings.topP"),
        Meaning.NUMBER,
        _SPAN,
    ),
    Column(
        "max_output_tokens",
        (
            "gen_ai.request.max_tokens",
            "llm.request.max_tokens",
            "ai.settings.maxOutputTokens",
            "ai.settings.maxTokens",
        ),
        Meaning.INTEGER,
        _SPAN,
    ),
    Column("request_type", ("llm.request.type",), Meaning.LOWER, _SPAN, missing=_UNKNOWN),
    Column("response_id", ("gen_ai.response.id", "ai.response.id", "litellm.call_id"), place=_SPAN),
    Column(
        "input_tokens",
        (
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.prompt_tokens",
            "llm.token_count.prompt",
            "llm.usage.input_tokens",
            "llm.usage.prompt_tokens",
            "ai.usage.promptTokens",
            "ai.usage.inputTokens",
            "ai.usage.tokens",
            "langfuse.observation.usage_details.input",
        ),
        Meaning.INTEGER,
        _SPAN,
    ),
    Column(
        "output_tokens",
        (
            "gen_ai.usage.output_tokens",
            "gen_ai.usage.completion_tokens",
            "llm.token_count.completion",
            "llm.usage.output_tokens",
            "llm.usage.completion_tokens",
            "ai.usage.completionTokens",
            "ai.usage.outputTokens",
            "langfuse.observation.usage_details.output",
        ),
        Meaning.INTEGER,
        _SPAN,
    ),
    Column(
        "total_tokens",
        (
            "llm.token_count.total",
            "gen_ai.usage.total_tokens",
            "llm.usage.total_tokens",
            "langfuse.observation.usage_details.total",
        ),
        Meaning.INTEGER,
        _SPAN,
    ),
    Column(
        "cache_read_tokens",
        (
            "gen_ai.usage.cache_read.input_tokens",
            "llm.token_count.prompt_details.cache_read",
            "gen_ai.usage.cache_read_input_tokens",
            "ai.usage.cachedInputTokens",
        ),
        Meaning.INTEGER,
        _SPAN,
    ),
    Column(
        "cache_write_tokens",
        (
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_write.input_tokens",
            "llm.token_count.prompt_details.cache_write",
            "gen_ai.usage.cache_creation_input_tokens",
            "gen_ai.usage.cache_write_input_tokens",
        ),
        Meaning.INTEGER,
        _SPAN,
    ),
    Column(
        "reasoning_tokens",
        (
            "gen_ai.usage.reasoning.output_tokens",
            "llm.token_count.completion_details.reasoning",
            "gen_ai.usage.reasoning_tokens",
            "ai.usage.reasoningTokens",
        ),
        Meaning.INTEGER,
        _SPAN,
    ),
    Column(
        "cost_usd",
        (
            "orch.cost.usd",
            "llm.cost.total",
            "operation.cost",
            "gen_ai.usage.cost",
            "litellm.cost.total",
            "litellm.cost.total_cost",
            "langfuse.observation.cost_details.total",
        ),
        Meaning.NUMBER,
        _SPAN,
    ),
    Column(
        "finish_reason",
        (
            "gen_ai.response.finish_reasons",
            "llm.finish_reason",
            "gen_ai.response.finish_reason",
            "gen_ai.response.stop_reason",
            "ai.response.finishReason",
        ),
        Meaning.FINISH,
        _SPAN,
    ),
    Column(
        "first_chunk_ms",
        (
            Key("gen_ai.response.time_to_first_chunk", scale=1000.0),
            Key("gen_ai.client.operation.time_to_first_chunk", scale=1000.0),
            "ai.response.msToFirstChunk",
            "gen_ai.server.time_to_first_token",
        ),
        Meaning.NUMBER,
        _SPAN,
    ),
    Column(
        "is_stream",
        (
            "gen_ai.request.stream",
            "gen_ai.is_streaming",
            "llm.is_streaming",
            "langsmith.request.streaming",
        ),
        Meaning.BOOLEAN,
        _SPAN,
    ),
    Column(
        "input_message_count",
        (
            Key("gen_ai.input.messages", meaning=Meaning.LENGTH),
            Key("pydantic_ai.all_messages", meaning=Meaning.LENGTH),
            Key("ai.prompt.messages", meaning=Meaning.LENGTH),
        ),
        Meaning.INTEGER,
        _SPAN,
    ),
    # tools, protocols of agents, retrieval, memory
    Column(
        "tool_name",
        ("gen_ai.tool.name", "tool.name", "ai.toolCall.name"),
        place=_SPAN,
    ),
    Column(
        "tool_call_id",
        ("gen_ai.tool.call.id", "tool.id", "tool_call.id", "ai.toolCall.id"),
        place=_SPAN,
    ),
    Column(
        "tool_status",
        ("gen_ai.tool.status", "gen_ai.task.status", "celery.state"),
        Meaning.LOWER,
        _SPAN,
    ),
    Column("mcp_method", ("mcp.method.name",), place=_SPAN),
    Column("mcp_server", ("fastmcp.server.name",)),
    Column("mcp_resource_uri", ("mcp.resource.uri",), place=_SPAN),
    Column("a2a_method", ("a2a.method.name",), place=_SPAN),
    Column(
        "data_source_id",
        (
            "gen_ai.data_source.id",
            "aws.bedrock.knowledge_base.id",
            "gen_ai.retrieval.source",
        ),
        place=_SPAN,
    ),
    Column(
        "guardrail_name",
        ("litellm.guardrail.name", "guardrail.name", "aws.bedrock.guardrail.id"),
        place=_SPAN,
    ),
    Column("evaluation_name", ("gen_ai.evaluation.name", "evaluation.name"), place=_SPAN),
    Column("memory_store", ("gen_ai.memory.store.id", "gen_ai.memory.store.name"), place=_SPAN),
    Column("memory_record_count", ("gen_ai.memory.record.count",), Meaning.INTEGER, _SPAN),
    # storage
    Column(
        "db_system",
        ("db.system.name", "db.system"),
        Meaning.LOWER,
        _SPAN,
        renames=DB_SYSTEMS,
    ),
    Column(
        "db_namespace",
        (
            "db.namespace",
            "db.name",
            "db.redis.database_index",
            "db.cassandra.keyspace",
            "db.elasticsearch.cluster.name",
            "pinecone.query.namespace",
        ),
        place=_SPAN,
    ),
    Column(
        "db_collection",
        (
            "db.collection.name",
            "db.sql.table",
            "db.mongodb.collection",
            "db.cassandra.table",
            "db.cosmosdb.container",
            "aws.dynamodb.table_names",
        ),
        Meaning.JOINED,
        _SPAN,
        patterns=(r"\.collection_name$",),
    ),
    Column(
        "db_operation",
        ("db.operation.name", "db.stored_procedure.name", "db.operation"),
        place=_SPAN,
    ),
    Column("query_text", ("db.query.text", "db.statement"), Meaning.QUERY, _SPAN),
    Column("query_summary", ("db.query.summary",), place=_SPAN),
    Column("db_status", ("db.response.status_code", "db.cosmosdb.status_code"), place=_SPAN),
    Column("db_rows", ("orch.resource.rows", "db.response.returned_rows"), Meaning.INTEGER, _SPAN),
    Column("cache_hit", ("cache.hit", "litellm.cache_hit"), Meaning.BOOLEAN, _SPAN),
    Column(
        "bucket",
        ("aws.s3.bucket", "gcp.gcs.bucket", "gcp.storage.bucket.name"),
        place=_SPAN,
    ),
    # messages
    Column("messaging_system", ("messaging.system",), Meaning.LOWER, _SPAN),
    Column(
        "destination",
        (
            "messaging.destination.template",
            "messaging.destination.name",
            "messaging.destination.subscription.name",
            "messaging.destination",
            "messaging.url",
            "celery.task_name",
            "llmmas.target_agent.id",
        ),
        Meaning.LAST_PART,
        _SPAN,
    ),
    Column(
        "messaging_operation",
        (
            "messaging.operation.type",
            "messaging.operation.name",
            "messaging.operation",
            "celery.action",
        ),
        Meaning.LOWER,
        _SPAN,
    ),
    Column(
        "message_id",
        ("messaging.message.id", "messaging.message_id", "llmmas.message.id"),
        place=_SPAN,
    ),
    Column(
        "enqueued_ns",
        (
            "messaging.servicebus.message.enqueued_time",
            "messaging.eventhubs.message.enqueued_time",
        ),
        Meaning.EPOCH_NS,
        _SPAN,
    ),
    # HTTP, RPC, functions
    Column(
        "http_method",
        ("http.request.method", "http.method", "http.request.method_original"),
        Meaning.UPPER,
        _SPAN,
        missing=frozenset({"_other"}),
    ),
    Column("http_route", ("http.route", "url.template"), place=_SPAN),
    Column(
        "url_path", ("url.path", "url.full", "http.target", "http.url"), Meaning.URL_PATH, _SPAN
    ),
    Column(
        "http_status", ("http.response.status_code", "http.status_code"), Meaning.INTEGER, _SPAN
    ),
    # Older instrumentations write a header's dashes as underscores.
    Column(
        "api_version",
        (
            "api.version",
            "http.request.header.api-version",
            "http.request.header.api_version",
            "http.request.header.x-api-version",
            "http.request.header.x_api_version",
            "http.request.header.accept-version",
            "http.request.header.accept_version",
        ),
        place=_SPAN,
    ),
    Column("graphql_operation", ("graphql.operation.type",), Meaning.LOWER, _SPAN),
    Column(
        "server_address",
        (
            "server.address",
            "net.peer.name",
            "net.host.name",
            "http.host",
            "http.server_name",
            "peer.hostname",
            "peer.address",
            "url.full",
            "http.url",
            "entity.1.inference_endpoint",
        ),
        Meaning.HOST,
        _SPAN,
    ),
    Column(
        "server_port",
        (
            "server.port",
            "net.peer.port",
            "net.host.port",
            "server.address",
            "http.host",
            "url.full",
            "http.url",
        ),
        Meaning.PORT,
        _SPAN,
    ),
    Column("peer_service", ("service.peer.name", "peer.service", "upstream_cluster"), place=_SPAN),
    Column(
        "network_peer",
        ("network.peer.address", "net.sock.peer.addr", "net.peer.ip"),
        place=_SPAN,
    ),
    Column("user_agent", ("user_agent.original", "http.user_agent"), place=_SPAN),
    Column("rpc_system", ("rpc.system.name", "rpc.system"), Meaning.LOWER, _SPAN),
    Column("rpc_service", ("rpc.service",), place=_SPAN),
    Column("rpc_method", ("rpc.method",), place=_SPAN),
    Column(
        "rpc_status",
        (
            "rpc.status_code",
            "rpc.response.status_code",
            "rpc.grpc.status_code",
            "rpc.connect_rpc.error_code",
            "rpc.jsonrpc.error_code",
        ),
        place=_SPAN,
    ),
    Column("faas_trigger", ("faas.trigger",), Meaning.LOWER, _SPAN),
    Column("faas_name", ("faas.invoked_name", "faas.name")),
    # errors and repetition
    Column("error_type", ("error.type",), place=_SPAN),
    Column("exception_type", ("exception.type",), place=_SPAN),
    Column("exception_message", ("exception.message",), Meaning.MESSAGE, _SPAN),
    Column("error_code", ("exception.message",), Meaning.ERROR_CODE, _SPAN),
    Column(
        "log_level",
        ("langfuse.observation.level", "logfire.level_num"),
        Meaning.LOG_LEVEL,
        _SPAN,
    ),
    Column(
        "retry_count",
        (
            "http.request.resend_count",
            "http.resend_count",
            "retry_attempts",
            "celery.retries",
            Key("messaging.servicebus.message.delivery_count", shift=-1),
            Key("messaging.gcp_pubsub.message.delivery_attempt", shift=-1),
            "http.request.header.x-stainless-retry-count",
            Key("http.request.header.x-envoy-attempt-count", shift=-1),
            Key("orch.boundary.attempt", shift=-1),
        ),
        Meaning.INTEGER,
        _SPAN,
    ),
    Column("timeout_ms", ("orch.boundary.timeout_ms",), Meaning.NUMBER, _SPAN),
    Column("budget_ms", ("orch.boundary.budget_ms",), Meaning.NUMBER, _SPAN),
    Column("idempotency_key", ("orch.boundary.idempotency_key",), Meaning.HASHED, _SPAN),
    Column("is_degraded", ("orch.degraded",), Meaning.BOOLEAN, _SPAN),
    Column("fallback", ("orch.fallback",), place=_SPAN),
    # state
    Column("context_hash_in", ("orch.context.hash.in",), place=_SPAN),
    Column("context_hash_out", ("orch.context.hash.out",), place=_SPAN),
    Column("context_version", ("orch.context.version",), Meaning.INTEGER, _SPAN),
    Column("context_store", ("orch.context.store",), place=_SPAN),
    Column("context_hit", ("orch.context.hit",), Meaning.BOOLEAN, _SPAN),
    Column(
        "args_hash",
        (
            "orch.args.hash",
            Key("gen_ai.tool.call.arguments", meaning=Meaning.CANONICAL),
            Key("ai.toolCall.args", meaning=Meaning.CANONICAL),
            Key("tool_arguments", meaning=Meaning.CANONICAL),
            Key("gcp.vertex.agent.tool_call_args", meaning=Meaning.CANONICAL),
        ),
        place=_SPAN,
    ),
    Column(
        "input_hash",
        (
            "orch.input.hash",
            Key("gen_ai.input.messages", meaning=Meaning.LAST_USER),
            Key("pydantic_ai.all_messages", meaning=Meaning.LAST_USER),
            Key("ai.prompt.messages", meaning=Meaning.LAST_USER),
            Key("input.value", meaning=Meaning.CANONICAL),
            Key("traceloop.entity.input", meaning=Meaning.CANONICAL),
            Key("langfuse.observation.input", meaning=Meaning.CANONICAL),
            Key("ai.prompt", meaning=Meaning.CANONICAL),
            Key("gen_ai.prompt", meaning=Meaning.CANONICAL),
        ),
        place=_SPAN,
    ),
    # permission
    Column("resource_name", ("orch.resource.name",), place=_SPAN),
    Column("resource_access", ("orch.resource.access",), Meaning.LOWER, _SPAN),
    Column("resource_sensitivity", ("orch.resource.sensitivity",), Meaning.TEXTS, _SPAN),
    Column(
        "scopes_granted",
        ("orch.auth.scopes.granted", "user.roles", "enduser.role", "enduser.scope"),
        Meaning.TEXTS,
        patterns=(
            r"(?i)(^|\.)(auth|oauth2?|jwt|token|enduser|user|principal)[._](claims[._])?"
            r"(scopes?|roles?|permissions?|entitlements)$",
        ),
    ),
    Column("scopes_required", ("orch.auth.scopes.required",), Meaning.TEXTS),
    # pilots, faults
    Column("pilot_name", ("orch.pilot.name", "langfuse.experiment.name", "langfuse.experiment.id")),
    Column("pilot_phase", ("orch.pilot.phase",), Meaning.LOWER),
    Column(
        "pilot_variant",
        ("orch.pilot.variant", "feature_flag.result.variant", "feature_flag.variant"),
    ),
    Column("fault_id", ("orch.fault.id", "llmmas.fault.spec_id")),
    Column(
        "fault_type",
        (
            "orch.fault.type",
            "goblin.assault.type",
            "llmmas.fault.type",
            Key("response_flags", meaning=Meaning.ENVOY_FAULT),
        ),
    ),
    Column("fault_target", ("orch.fault.target",)),
)

# Attributes of a span's events that may fill a column the span itself left empty.
EVENT_COLUMNS: dict[str, tuple[str, tuple[str, ...]]] = {
    "exception_type": ("exception", ("exception.type",)),
    "exception_message": ("exception", ("exception.message",)),
    "error_code": ("exception", ("exception.message",)),
    "input_tokens": ("metadata", ("prompt_tokens",)),
    "output_tokens": ("metadata", ("completion_tokens",)),
    "pilot_variant": (
        "feature_flag",
        (
            "feature_flag.result.variant",
            "feature_flag.variant",
            "feature_flag.result.variationIndex",
        ),
    ),
}

# JSON objects whose members act as attributes of their own: `<key>.<member>`.
EXPANDED = ("langfuse.observation.usage_details", "langfuse.observation.cost_details")

# Attributes that stay in the map although a column took them: the model asks for the key itself,
# or the column holds only a part.
KEPT_TOO = frozenset(
    {
        "celery.state",
        "faas.invoked_name",
        "graph.node.id",
        "http.url",
        "url.full",
        "messaging.destination.name",
        "messaging.destination.template",
        "messaging.url",
        "model_name",
        "workflow.id",
        "response_flags",
    }
)

# Content whose hash is a column's own: the map need not hold another one of it.
DIGESTED = frozenset(
    key.name
    for column in COLUMNS
    if column.name == "args_hash"
    for key in column.keys
    if isinstance(key, Key) and key.meaning is Meaning.CANONICAL
)

# What people said and machines answered: only length and hash stay unless the config keeps it.
CONTENT = (
    r"^gen_ai\.(system_instructions|input\.messages|output\.messages|tool\.definitions"
    r"|prompt|completion|content|request\.messages|response\.content)(\..*)?$",
    r"^gen_ai\.(prompt|completion)\.\d+\..*$",
    r"^gen_ai\.tool\.(call\.(arguments|result)|description|message)$",
    r"^gen_ai\.retrieval\.(query\.text|documents)$",
    r"^gen_ai\.memory\.(record\.)?(content|query|records)(\.text)?$",
    r"^gen_ai\.evaluation\.explanation$",
    r"^(input|output)\.(?!mime_type$).*$",
    r"^llm\.(input_messages|output_messages|prompts|completions|prompt_template|tools|choices)"
    r"(\..*)?$",
    r"^llm\.(invocation_parameters|function_call)$",
    r"^(retrieval\.documents|reranker\.(input|output)_documents|document)(\..*)?$",
    r"^reranker\.query$",
    r"^embedding\.(text|embeddings)(\..*)?$",
    r"^traceloop\.entity\.(input|output)$",
    r"^ai\.(prompt|response\.(text|object|toolCalls|reasoning|messages)|toolCall\.(args|result)"
    r"|values?|embeddings?)(\..*)?$",
    r"^ai\.prompt.*$",
    r"^langfuse\.(observation|trace)\.(input|output|metadata.*)$",
    r"^langsmith\.(inputs?|outputs?)$",
    r"^pydantic_ai\.(all_messages|final_result|new_messages).*$",
    r"^(all_messages_events|model_request_parameters|final_result|events)$",
    r"^gcp\.vertex\.agent\.(llm_request|llm_response|tool_call_args|tool_response|data)$",
    r"^tool\.(parameters|description|json_schema)$",
    r"^tool_(arguments|response|call_result)$",
    r"^genkit:(input|output)$",
    r"^spring\.ai\.(chat|image|vectorstore)\..*(text|content|messages|documents|params)$",
    r"^mcp\.(request\.argument|response|tool\.(arguments|result)).*$",
    r"^message\.(content|body)$",
    r"^messaging\.message\.body$",
    r"^http\.(request|response)\.body(\..*)?$",
    r"^exception\.stacktrace$",
    r"^process\.(command_args|command_line)$",
    r"^logfire\.(msg|json_schema)$",
    r"^(gen_ai\.)?(system|user|assistant|tool)?\.?(message|content)$",
    r"^(prompt|completion|query|question|answer|arguments|result)$",
    r"^graphql\.(document|variables.*)$",
    r"^rpc\.(request|response)\.(body|payload)$",
    # Headers and metadata of calls hold whatever the caller put there.
    r"^http\.(request|response)\.header\..*$",
    r"^rpc\..*metadata\..*$",
    r"^messaging\..*(body|payload|content|text)$",
    r"^process\.(command|executable\.args|title)$",
    r"^code\.(stacktrace|(source|line|context|snippet|locals|variables)\b.*)$",
    r"^log\.(body|message|record\.original)(\..*)?$",
    r"^(aws|faas|azure|gcp)\..*(payload|body|event|input|output)$",
    r"^faas\.document\.name$",
    r"^mcp\..*(arguments?|params?|results?|content|body|payload|text|data)(\..*)?$",
    r"(^|[._])(tool|function)([._].*)?[._](arguments?|args|parameters|inputs?|outputs?|results?"
    r"|response)(\..*)?$",
    r"(^|[._])(body|payload|transcript|utterance|prompts?|completions?|preview)$",
    r"^(retrieval|reranker|retriever)\.(documents?|query)(\..*)?$",
)

# Secrets and parameters: not even a hash stays.
DROPPED = (
    r"(?i)(^|[._-])(authorization|cookies?|set[_-]cookie|api[_-]?key|password|passwd|secret"
    r"|secret[_-]?key|access[_-]?key|private[_-]?key|access[_-]?token|refresh[_-]?token"
    r"|id[_-]?token|auth[_-]?token|session[_-]?token|security[_-]?token|bearer[_-]?token"
    r"|csrf[_-]?token|client[_-]?secret|credentials?|connection[_-]?string)$",
    r"^db\.(query|operation)\.parameters?(\.|$)",
    r"^db\.(statement|query)\.parameters$",
    r"^process\.environment_variable(\.|$)",
)

# Keys whose value names a person, or works like a key, wherever they stand.
PERSONS = (
    r"^(enduser\.id|enduser\.pseudo\.id|user\.(id|hash|email|name|full_name)|gen_ai\.user)$",
    r"^(langfuse\.user\.id|ai\.telemetry\.metadata\.userId|litellm\.end_user\.id)$",
    r"^(traceloop\.association\.properties|langsmith\.metadata|metadata)\.(user_id|user)$",
    r"(^|\.)(idempotency_key|idempotency-key)$",
    r"^client\.(address|ip)$",
    r"^http\.client_ip$",
    r"^db\.user$",
)

# Keys whose value is a URL, or the part of one that may hold a query.
URLS = (r"^(url\.full|http\.url|http\.target|messaging\.url|mcp\.resource\.uri|url\.original)$",)
URL_QUERIES = (r"^url\.(query|fragment)$",)

# Messages flattened into numbered keys; the highest number counts them.
NUMBERED_MESSAGES = (r"^llm\.input_messages\.(\d+)\.", r"^gen_ai\.prompt\.(\d+)\.")

# Text of errors: first line, masked. Query text outside its column: masked too.
MESSAGES = (r"(^|\.)(exception\.message|error\.message|status_description|retry\.reason)$",)
QUERIES = (r"^(db\.statement|db\.query\.text)$",)
