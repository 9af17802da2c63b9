"""The contract between ingest and analysis: one row of the lake is one span.

Ids are lower-case hex text, times are nanoseconds since 1970 UTC, enums are their OTLP names in
upper case. A null says "not there"; an empty text never does. Every promoted attribute is named in
`conventions`; every other attribute is kept in `attributes` and `resource_attributes`.
"""

import pyarrow as pa

COHORT_PATTERN = r"[a-z0-9][a-z0-9_-]{0,62}"

_TEXTS = pa.list_(pa.string())

EVENT = pa.struct(
    [
        ("time_ns", pa.int64()),
        ("name", pa.string()),
        ("attributes", pa.map_(pa.string(), pa.string())),
    ]
)
LINK = pa.struct(
    [
        ("trace_id", pa.string()),
        ("span_id", pa.string()),
        ("attributes", pa.map_(pa.string(), pa.string())),
    ]
)

# What every span has, whoever wrote it.
IDENTITY = pa.schema(
    [
        ("cohort", pa.string()),  # partition: slug that names the side, e.g. baseline, pilot
        ("day", pa.date32()),  # partition: UTC day of start_ns
        ("trace_id", pa.string()),  # 32 hex
        ("span_id", pa.string()),  # 16 hex
        ("parent_span_id", pa.string()),  # 16 hex, null at a root
        ("trace_state", pa.string()),  # OpenTelemetry's own member, ot=...
        ("is_parent_remote", pa.bool_()),  # null where the exporter did not say (flags bits 8, 9)
        ("name", pa.string()),
        ("kind", pa.string()),  # UNSPECIFIED INTERNAL SERVER CLIENT PRODUCER CONSUMER, or digits
        ("start_ns", pa.int64()),
        ("duration_ns", pa.int64()),  # to the end; never negative
        ("status", pa.string()),  # UNSET OK ERROR, or digits
        ("status_message", pa.string()),  # first line, masked, at most 200 characters
        ("scope_name", pa.string()),
        ("scope_version", pa.string()),
        ("dropped_attributes_count", pa.int64()),
        ("dropped_events_count", pa.int64()),
        ("dropped_links_count", pa.int64()),
        ("weight", pa.float64()),  # spans this one stands for: 1, or from tracestate ot=th
        ("source_digest", pa.string()),  # sha256 of the dump it came from
        ("source_record", pa.int64()),  # 1-based message or line within that dump
        ("content_hash", pa.int32()),  # 16 bits, equal for copies: tells duplicate from conflict
        ("quality", _TEXTS),  # self_parent invalid_parent invalid_link; null when fine
        ("events", pa.list_(EVENT)),
        ("links", pa.list_(LINK)),
        ("attributes", pa.map_(pa.string(), pa.string())),  # what no column below holds
        ("resource_attributes", pa.map_(pa.string(), pa.string())),  # the same of the resource
    ]
)

# What a span may say of itself, under whichever key; `conventions` lists the keys.
PROMOTED = pa.schema(
    [
        # resource
        ("service_name", pa.string()),
        ("service_version", pa.string()),
        ("service_namespace", pa.string()),
        ("service_instance_id", pa.string()),
        ("environment", pa.string()),
        ("host", pa.string()),  # clock domain
        ("sdk_language", pa.string()),
        # what kind of work
        ("node_type", pa.string()),  # orch.node.type
        ("operation", pa.string()),  # gen_ai.operation.name, lower case
        ("vendor_kind", pa.string()),  # openinference / traceloop / langfuse / ..., lower case
        ("asgi_event", pa.string()),
        ("boundary_name", pa.string()),  # orch.boundary.name
        # who
        ("agent_name", pa.string()),
        ("agent_id", pa.string()),
        ("entity_name", pa.string()),  # traceloop.entity.name: agent, tool or task by vendor_kind
        ("executor_id", pa.string()),
        ("workflow_name", pa.string()),
        ("graph_node_id", pa.string()),
        ("graph_node_parent_id", pa.string()),
        ("handoff_from", pa.string()),
        ("handoff_to", pa.string()),
        ("message_sender", pa.string()),
        ("conversation_id", pa.string()),
        ("turn_index", pa.int64()),
        ("user_id", pa.string()),  # hashed
        ("tenant", pa.string()),
        # model
        ("provider", pa.string()),
        ("response_model", pa.string()),
        ("request_model", pa.string()),
        ("temperature", pa.float64()),
        ("top_p", pa.float64()),
        ("max_output_tokens", pa.int64()),
        ("request_type", pa.string()),  # llm.request.type: completion chat rerank embedding
        ("response_id", pa.string()),
        ("input_tokens", pa.int64()),
        ("output_tokens", pa.int64()),
        ("total_tokens", pa.int64()),
        ("cache_read_tokens", pa.int64()),
        ("cache_write_tokens", pa.int64()),
        ("reasoning_tokens", pa.int64()),
        ("cost_usd", pa.float64()),
        ("finish_reason", pa.string()),
        ("first_chunk_ms", pa.float64()),
        ("is_stream", pa.bool_()),
        ("input_message_count", pa.int64()),
        # tools, protocols of agents, retrieval, memory
        ("tool_name", pa.string()),
        ("tool_call_id", pa.string()),
        ("tool_status", pa.string()),
        ("mcp_method", pa.string()),
        ("mcp_server", pa.string()),
        ("mcp_resource_uri", pa.string()),
        ("a2a_method", pa.string()),
        ("data_source_id", pa.string()),
        ("guardrail_name", pa.string()),
        ("evaluation_name", pa.string()),
        ("memory_store", pa.string()),
        ("memory_record_count", pa.int64()),
        # storage
        ("db_system", pa.string()),  # current name, lower case
        ("db_namespace", pa.string()),
        ("db_collection", pa.string()),
        ("db_operation", pa.string()),
        ("query_text", pa.string()),  # literals replaced by ?, at most 64 KiB
        ("query_summary", pa.string()),
        ("db_status", pa.string()),
        ("db_rows", pa.int64()),
        ("cache_hit", pa.bool_()),
        ("bucket", pa.string()),
        # messages
        ("messaging_system", pa.string()),
        ("destination", pa.string()),
        ("messaging_operation", pa.string()),
        ("message_id", pa.string()),
        ("enqueued_ns", pa.int64()),
        # HTTP, RPC, functions
        ("http_method", pa.string()),
        ("http_route", pa.string()),
        ("url_path", pa.string()),  # no query, no fragment
        ("http_status", pa.int64()),
        ("api_version", pa.string()),  # that a caller asks for, by a header or an attribute
        ("graphql_operation", pa.string()),
        ("server_address", pa.string()),  # port split off
        ("server_port", pa.int64()),
        ("peer_service", pa.string()),
        ("network_peer", pa.string()),
        ("user_agent", pa.string()),
        ("rpc_system", pa.string()),
        ("rpc_service", pa.string()),
        ("rpc_method", pa.string()),
        ("rpc_status", pa.string()),
        ("faas_trigger", pa.string()),
        ("faas_name", pa.string()),
        # errors and repetition
        ("error_type", pa.string()),
        ("exception_type", pa.string()),  # attribute, else first exception event
        ("exception_message", pa.string()),  # first line, masked, at most 200 characters
        ("error_code", pa.int64()),  # HTTP status an error's message names, where no other is given
        ("log_level", pa.string()),  # langfuse level, logfire level as text
        ("retry_count", pa.int64()),
        ("timeout_ms", pa.float64()),
        ("budget_ms", pa.float64()),
        ("idempotency_key", pa.string()),  # hashed
        ("is_degraded", pa.bool_()),
        ("fallback", pa.string()),
        # state
        ("context_hash_in", pa.string()),
        ("context_hash_out", pa.string()),
        ("context_version", pa.int64()),
        ("context_store", pa.string()),
        ("context_hit", pa.bool_()),
        ("args_hash", pa.string()),
        ("input_hash", pa.string()),
        # permission
        ("resource_name", pa.string()),
        ("resource_access", pa.string()),
        ("resource_sensitivity", _TEXTS),
        ("scopes_granted", _TEXTS),
        ("scopes_required", _TEXTS),
        # pilots, faults
        ("pilot_name", pa.string()),
        ("pilot_phase", pa.string()),
        ("pilot_variant", pa.string()),
        ("fault_id", pa.string()),
        ("fault_type", pa.string()),
        ("fault_target", pa.string()),
    ]
)

SPANS = pa.schema([*IDENTITY, *PROMOTED])

KEY = ("trace_id", "span_id")  # within a cohort
