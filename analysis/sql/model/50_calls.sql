-- calls: one row a boundary instance, one handoff from a caller to a callee (BOUNDARIES.md, calls).

CREATE OR REPLACE TEMP MACRO is_model(type) AS
    type IN ('model', 'embedding', 'reranker');

CREATE OR REPLACE TEMP TABLE members AS
SELECT
    groups.group_id,
    groups.part,
    groups.outer_id,
    groups.unit_id,
    -- outermost first, and one whole number: comparing rows costs ten times as much
    nodes.depth::BIGINT * 1099511627776 + nodes.node_id  AS place,
    nodes.node_id,
    nodes.cohort,
    nodes.day,
    nodes.trace_id,
    nodes.span_id,
    nodes.trace_no,
    nodes.type,
    nodes.kind,
    nodes.service,
    nodes.service_version,
    nodes.label,
    nodes.start_ns,
    nodes.end_ns,
    nodes.is_error,
    nodes.error_class,
    nodes.conversation_id,
    nodes.weight,
    nodes.parent_id,
    nodes.composite_id,
    nodes.agent_id,
    nodes.is_across,
    nodes.fault_id
FROM groups
INNER JOIN nodes
    ON nodes.node_id = groups.node_id
WHERE nodes.role <> 'transparent';

-- who speaks, when this span calls
CREATE OR REPLACE TEMP TABLE speakers AS
SELECT
    node_id,
    trace_no,
    start_ns,
    type,
    label,
    service,
    CASE
        WHEN type IN ('agent', 'workflow') THEN 'agent:' || coalesce(label, '?')
        WHEN type = 'tool' THEN 'tool:' || coalesce(label, '?')
        WHEN type IN ('retriever', 'guardrail', 'evaluator', 'memory')
        THEN CASE type WHEN 'retriever' THEN 'retrieval' ELSE type END || ':' || coalesce(label, '?')
        ELSE 'service:' || coalesce(service, '?')
    END  AS speaker
FROM nodes
WHERE role = 'composite';

-- a handoff marker and the agent it led to: the first later agent of that name in the trace
CREATE OR REPLACE TEMP TABLE handed AS
SELECT
    marker.node_id                             AS marker_id,
    marker.agent_id                            AS owner_id,
    min_by(agent.node_id, (agent.start_ns, agent.node_id))  AS agent_id
FROM nodes AS marker
INNER JOIN nodes AS agent
    ON agent.trace_no = marker.trace_no
    AND agent.type = 'agent'
    AND agent.start_ns >= marker.start_ns
    AND (
        marker.label IS NULL
        OR replace(lower(agent.label), ' ', '_') = replace(lower(marker.label), ' ', '_')
    )
    AND agent.node_id <> coalesce(marker.agent_id, -1)
WHERE marker.type = 'handoff'
GROUP BY ALL;

CREATE OR REPLACE TABLE calls AS
WITH

-- what a group's members say together: the outermost names it, the innermost model counts
merged AS (
    SELECT
        members.group_id,
        bool_or(members.type IN ('mcp_client', 'mcp_server'))                            AS has_mcp,
        bool_or(members.type = 'agent' AND members.part = 'consumer')                    AS has_agent_consumer,
        arg_min(members.label, members.place)
            FILTER (members.part = 'consumer' AND members.type = 'agent')                AS consumer_agent,
        arg_min(members.type, members.place)
            FILTER (is_model(members.type))                                              AS model_type,
        arg_max(split_part(members.label, '/', 1), members.place)
            FILTER (is_model(members.type) AND members.label NOT LIKE '?/%')             AS provider,
        -- OpenInference has one key for both: a call that failed wrote there whom it asked.
        arg_max(spans.response_model, members.place)
            FILTER (
                is_model(members.type)
                AND spans.response_model <> 'unknown'
                AND (NOT members.is_error OR spans.response_model <> spans.request_model)
            )                                                                            AS response_model,
        arg_max(coalesce(nullif(spans.request_model, 'unknown'), spans.response_model), members.place)
            FILTER (
                is_model(members.type)
                AND (spans.request_model <> 'unknown' OR members.is_error AND spans.response_model <> 'unknown')
            )                                                                            AS request_model,
        min(members.cohort)                                                              AS group_cohort,
        max(spans.input_tokens) FILTER (is_model(members.type))                          AS input_tokens,
        max(spans.output_tokens) FILTER (is_model(members.type))                         AS output_tokens,
        max(spans.cache_read_tokens) FILTER (is_model(members.type))                     AS cache_read_tokens,
        max(spans.cost_usd)                                                              AS cost_usd,
        min(spans.first_chunk_ms)                                                        AS first_chunk_ms,
        arg_min(members.label, members.place)
            FILTER (members.type IN ('tool', 'mcp_client', 'mcp_server') AND spans.tool_name IS NOT NULL) AS tool_name,
        min(
            CASE WHEN spans.mcp_resource_uri IS NOT NULL THEN uri_template(spans.mcp_resource_uri) END
        )                                                                                AS mcp_uri,
        coalesce(
            min(spans.mcp_server),
            min(members.service) FILTER (members.type = 'mcp_server'),
            min(spans.server_address) FILTER (members.type IN ('mcp_client', 'http_client'))
        )                                                                                AS mcp_server,
        arg_max(members.service, members.place)
            FILTER (members.part IN ('server', 'consumer'))                              AS callee_service,
        min(
            CASE
                WHEN members.type = 'http_server'
                THEN coalesce(spans.http_route, path_template(spans.url_path))
            END
        )                                        AS server_route,
        min(members.service) <> max(members.service)                                      AS has_services,
        max(spans.retry_count) FILTER (NOT members.type LIKE 'queue%')                   AS retry_count,
        min(members.fault_id)                                                            AS fault_id,
        min(spans.pilot_variant)                                                         AS pilot_variant,
        min(spans.message_sender)                                                        AS sender,
        min(spans.timeout_ms)                                                            AS timeout_ms,
        min(spans.idempotency_key)                                                       AS idempotency_key
    FROM members
    INNER JOIN spans
        ON spans.node_id = members.node_id
    GROUP BY members.group_id
),

-- a model asked for by one name that always answers by one other
answering AS (
    SELECT
        group_cohort,
        provider,
        request_model,
        min(response_model)  AS response_model
    FROM merged
    WHERE response_model IS NOT NULL
        AND request_model IS NOT NULL
    GROUP BY
        group_cohort,
        provider,
        request_model
    HAVING min(response_model) = max(response_model)
),

-- the serving side, without the servers inside servers
served AS (
    SELECT
        members.group_id,
        count(*)                                                                    AS servers,
        CASE
            WHEN sum(members.end_ns - members.start_ns) <= max(members.end_ns) - min(members.start_ns)
            THEN sum(members.end_ns - members.start_ns)
            ELSE arg_max(members.end_ns - members.start_ns, members.end_ns)
        END / 1e6                                                                   AS server_ms,
        min(members.start_ns)                                                       AS server_start_ns,
        max(members.end_ns)                                                         AS server_end_ns
    FROM members
    LEFT JOIN members AS outer_member
        ON outer_member.node_id = members.outer_id
    WHERE members.part = 'server'
        AND outer_member.part IS DISTINCT FROM 'server'
    GROUP BY members.group_id
),

attempted AS (
    SELECT
        group_id,
        max(attempts)  AS attempts
    FROM (
        SELECT
            group_id,
            count(*)  AS attempts
        FROM members
        WHERE part = 'attempt'
        GROUP BY
            group_id,
            outer_id,
            type
    )
    GROUP BY group_id
),

-- from the moment a message was sent to the moment somebody took it
queued AS (
    SELECT
        pairs.producer_id                                                           AS group_id,
        min(CASE
            WHEN spans.enqueued_ns IS NOT NULL THEN consumer.start_ns - spans.enqueued_ns
            WHEN consumer.start_ns - producer.end_ns >= -2000000 THEN greatest(consumer.start_ns - producer.end_ns, 0)
            WHEN consumer.start_ns >= producer.start_ns THEN consumer.start_ns - producer.start_ns
        END) / 1e6                                                                  AS queue_ms
    FROM pairs
    INNER JOIN nodes AS producer
        ON producer.node_id = pairs.producer_id
    INNER JOIN nodes AS consumer
        ON consumer.node_id = pairs.consumer_id
    INNER JOIN spans
        ON spans.node_id = pairs.consumer_id
    GROUP BY pairs.producer_id
),

variants AS (
    SELECT
        trace_no,
        min(pilot_variant)  AS pilot_variant
    FROM spans
    WHERE pilot_variant IS NOT NULL
    GROUP BY trace_no
),

crossings AS (
    SELECT
        rep.node_id,
        rep.cohort,
        rep.day,
        rep.trace_id,
        rep.span_id,
        rep.trace_no,
        rep.type,
        rep.kind,
        rep.service,
        rep.service_version,
        rep.label,
        rep.start_ns,
        rep.end_ns,
        rep.is_error,
        rep.error_class,
        rep.conversation_id,
        rep.weight,
        rep.parent_id,
        rep.composite_id,
        rep.agent_id,
        merged.* EXCLUDE (group_id, group_cohort, fault_id, pilot_variant, response_model, request_model),
        -- A call that failed names no model that answered: it goes with those that were answered.
        coalesce(merged.response_model, answering.response_model, merged.request_model)  AS model,
        merged.fault_id                                                             AS group_fault_id,
        coalesce(merged.pilot_variant, variants.pilot_variant)                      AS pilot_variant,
        spans.environment,
        spans.graph_node_parent_id,
        spans.handoff_from,
        served.server_ms,
        -- Half of the handoff lies on either side of the server: the rest of its offset is its clock's.
        CASE
            WHEN served.servers = 1
                AND served.server_end_ns - served.server_start_ns <= rep.end_ns - rep.start_ns
                AND (served.server_start_ns < rep.start_ns - 2000000 OR served.server_end_ns > rep.end_ns + 2000000)
            THEN ((rep.start_ns + rep.end_ns) / 2 - (served.server_start_ns + served.server_end_ns) / 2) / 1e6
        END                                                                         AS skew_ms,
        served.servers,
        attempted.attempts,
        queued.queue_ms,
        queued.group_id IS NOT NULL                                                 AS is_taken,
        resources.resource,
        resources.access,
        handed.owner_id                                                             AS handoff_owner_id,
        CASE
            WHEN is_model(rep.type) THEN 'model'
            WHEN rep.type IN ('mcp_client', 'mcp_server') OR (rep.type = 'tool' AND merged.has_mcp) THEN 'mcp'
            WHEN rep.type = 'tool' THEN 'tool'
            WHEN rep.type IN ('agent', 'workflow', 'handoff') OR merged.has_agent_consumer THEN 'agent'
            WHEN rep.type = 'retriever' THEN 'retrieval'
            WHEN rep.type IN ('memory', 'guardrail', 'evaluator') THEN rep.type
            WHEN rep.type = 'db' THEN 'database'
            WHEN rep.type = 'cache' THEN 'cache'
            WHEN rep.type = 'object_store' THEN 'storage'
            WHEN rep.type LIKE 'queue%' THEN 'queue'
            WHEN rep.type IN ('http_client', 'http_server', 'rpc_client', 'rpc_server', 'faas_client') THEN 'service'
        END                                                                         AS boundary_kind
    FROM members AS rep
    INNER JOIN merged
        ON merged.group_id = rep.group_id
    INNER JOIN spans
        ON spans.node_id = rep.node_id
    INNER JOIN resources
        ON resources.node_id = rep.node_id
    LEFT JOIN answering
        ON answering.group_cohort = merged.group_cohort
        AND answering.provider IS NOT DISTINCT FROM merged.provider
        AND answering.request_model = merged.request_model
    LEFT JOIN served
        ON served.group_id = rep.group_id
    LEFT JOIN attempted
        ON attempted.group_id = rep.group_id
    LEFT JOIN queued
        ON queued.group_id = rep.group_id
    LEFT JOIN variants
        ON variants.trace_no = rep.trace_no
    LEFT JOIN handed
        ON handed.agent_id = rep.node_id
    WHERE rep.part = 'representative'
        AND rep.type <> 'mcp_control'
        AND (
            rep.kind IN ('CLIENT', 'PRODUCER')
            OR rep.is_across
            OR merged.has_services
            OR rep.type IN (
                'model', 'embedding', 'reranker', 'retriever', 'tool', 'mcp_client', 'agent',
                'workflow', 'guardrail', 'evaluator', 'memory', 'handoff'
            )
            OR (rep.kind IN (
                'INTERNAL', 'UNSPECIFIED'
            ) AND rep.type IN ('db', 'cache', 'object_store', 'faas_client', 'queue_producer', 'queue_poll'))
        )
        -- An entry nobody is seen to call is no boundary.
        AND NOT (
            rep.parent_id IS NULL
            AND rep.kind <> 'PRODUCER'
            AND rep.type IN ('http_server', 'rpc_server', 'queue_consumer', 'mcp_server', 'ui', 'agent', 'workflow')
        )
        AND rep.node_id NOT IN (SELECT marker_id FROM handed)
),

-- a span may name its caller itself; the tree says it otherwise
callers AS (
    SELECT
        crossings.*,
        CASE
            WHEN boundary_kind <> 'agent' THEN NULL
            ELSE plain_name(coalesce(
                CASE WHEN crossings.graph_node_parent_id <> crossings.label THEN crossings.graph_node_parent_id END,
                crossings.handoff_from,
                crossings.sender,
                owner.label
            ))
        END  AS named_caller
    FROM crossings
    LEFT JOIN speakers AS owner
        ON owner.node_id = crossings.handoff_owner_id
),

placed_callers AS (
    SELECT
        callers.node_id,
        max(speakers.node_id)  AS caller_id
    FROM callers
    INNER JOIN speakers
        ON speakers.trace_no = callers.trace_no
        AND speakers.type IN ('agent', 'workflow')
        AND speakers.label = callers.named_caller
        AND speakers.start_ns <= callers.start_ns
        AND speakers.node_id <> callers.node_id
    WHERE callers.named_caller IS NOT NULL
    GROUP BY callers.node_id
),

named AS (
    SELECT
        callers.*,
        coalesce(
            placed_callers.caller_id,
            CASE WHEN callers.named_caller IS NULL THEN callers.composite_id END
        )                                                                                AS caller_id,
        CASE
            WHEN callers.named_caller IS NOT NULL THEN 'agent:' || callers.named_caller
            WHEN speakers.node_id IS NOT NULL THEN speakers.speaker
            ELSE 'service:' || coalesce(CASE WHEN callers.type IN (
                'http_server', 'rpc_server', 'mcp_server', 'queue_consumer'
            ) THEN parent.service ELSE callers.service END, '?')
        END                                                                              AS caller,
        CASE
            WHEN speakers.type = 'ui' AND callers.boundary_kind = 'service' THEN 'ui'
            ELSE callers.boundary_kind
        END                                                                              AS final_kind,
        coalesce(callers.named_caller, agent.label)                                      AS owner_agent,
        CASE
            WHEN callers.type IN (
                'http_server', 'rpc_server', 'mcp_server', 'queue_consumer'
            ) AND parent.node_id IS NOT NULL
            THEN parent.service
            ELSE callers.service
        END                                                                              AS owner_service,
        CASE
            WHEN callers.boundary_kind = 'model' THEN
                'model:' || coalesce(callers.provider, '?') || '/' || coalesce(callers.model, '?')
            WHEN callers.boundary_kind = 'mcp' THEN
                'mcp:' || coalesce(
                    callers.mcp_uri,
                    coalesce(callers.mcp_server, '?') || '/' || coalesce(callers.tool_name, callers.label, '?')
                )
            WHEN callers.has_agent_consumer THEN 'agent:' || coalesce(callers.consumer_agent, '?')
            WHEN callers.type = 'http_client'
                AND regexp_full_match(callers.resource, 'http:[^/]*')
                AND callers.server_route IS NOT NULL
            THEN callers.resource || callers.server_route
            ELSE callers.resource
        END                                                                              AS callee
    FROM callers
    LEFT JOIN placed_callers
        ON placed_callers.node_id = callers.node_id
    LEFT JOIN speakers
        ON speakers.node_id = callers.composite_id
    LEFT JOIN nodes AS parent
        ON parent.node_id = callers.parent_id
    LEFT JOIN speakers AS agent
        ON agent.node_id = callers.agent_id
)

SELECT
    node_id                                                         AS call_id,
    cohort,
    day,
    trace_id,
    span_id,
    trace_no,
    substr(md5(concat_ws(chr(31), caller, final_kind, callee)), 1, 16)  AS boundary_id,
    caller,
    final_kind                                                      AS kind,
    callee,
    caller_id,
    coalesce(callee_service, CASE WHEN type IN (
        'http_server', 'rpc_server', 'mcp_server', 'queue_consumer'
    ) THEN service END) AS callee_service,
    owner_agent,
    owner_service,
    CASE
        WHEN type IN ('http_server', 'rpc_server', 'mcp_server', 'queue_consumer') THEN 'server'
        WHEN server_ms IS NOT NULL OR is_taken THEN 'both'
        WHEN kind IN ('CLIENT', 'PRODUCER') THEN 'client'
        ELSE 'in_process'
    END                                                             AS observed_side,
    make_timestamp(start_ns // 1000)                                AS started_at,
    start_ns,
    end_ns,
    (end_ns - start_ns) / 1e6                                       AS client_ms,
    server_ms,
    -- A server that works longer than its caller waits was abandoned: no handoff time can be said.
    CASE WHEN server_ms * 1e6 <= end_ns - start_ns THEN (end_ns - start_ns) / 1e6 - server_ms END AS handoff_ms,
    queue_ms,
    greatest(coalesce(attempts, 1), coalesce(retry_count + 1, 1))   AS attempts,
    is_error,
    error_class,
    CASE WHEN final_kind = 'model' THEN input_tokens END            AS input_tokens,
    CASE WHEN final_kind = 'model' THEN output_tokens END           AS output_tokens,
    CASE WHEN final_kind IN ('model', 'tool', 'mcp') THEN cost_usd END  AS cost_usd,
    conversation_id,
    coalesce(conversation_id, trace_id)                             AS unit_id,
    service_version,
    pilot_variant,
    group_fault_id                                                  AS fault_id,
    coalesce(weight, 1.0)                                           AS weight,
    environment,
    access,
    CASE WHEN server_ms * 1e6 > end_ns - start_ns THEN server_ms - (end_ns - start_ns) / 1e6 END AS abandoned_ms,
    CASE WHEN final_kind = 'model' THEN cache_read_tokens END       AS cache_read_tokens,
    first_chunk_ms,
    skew_ms,
    timeout_ms,
    idempotency_key IS NOT NULL                                     AS has_idempotency_key
FROM named
ORDER BY call_id;
