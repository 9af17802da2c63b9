-- bare_calls: one row a boundary instance, one handoff from a caller to a callee (BOUNDARIES.md, calls).
--
-- What their places among other calls tell of them is added in `calls`.

-- who speaks, when a span of this type calls
CREATE OR REPLACE TEMP MACRO speaker_of(type, label, service) AS
    CASE
        WHEN type IN ('agent', 'workflow') THEN 'agent:' || coalesce(label, '?')
        WHEN type = 'tool' THEN 'tool:' || coalesce(label, '?')
        WHEN type IN ('retriever', 'guardrail', 'evaluator', 'memory')
        THEN CASE type WHEN 'retriever' THEN 'retrieval' ELSE type END || ':' || coalesce(label, '?')
        ELSE 'service:' || coalesce(service, '?')
    END;

CREATE OR REPLACE TEMP TABLE speakers AS
SELECT
    node_id,
    trace_no,
    start_ns,
    type,
    label,
    speaker_of(type, label, service)  AS speaker
FROM nodes
WHERE role = 'composite';

-- which model was asked, and which answered; a call that failed names none that answered, and itself
CREATE OR REPLACE TABLE answers AS
SELECT DISTINCT
    nodes.trace_no,
    parts.cohort,
    parts.provider,
    parts.request_model,
    parts.response_model,
    CASE WHEN parts.response_model IS NULL THEN parts.group_id END  AS call_id
FROM parts
INNER JOIN nodes
    ON nodes.node_id = parts.group_id
WHERE parts.request_model IS NOT NULL;

CREATE OR REPLACE TEMP TABLE bare_calls AS
WITH

-- a model asked for by one name that always answers by one other
answering AS (
    SELECT
        cohort,
        provider,
        request_model,
        min(response_model)  AS response_model
    FROM (
        SELECT cohort, provider, request_model, response_model
        FROM answers
        UNION ALL
        SELECT cohort, provider, request_model, response_model
        FROM elsewhere_answers
    )
    WHERE response_model IS NOT NULL
    GROUP BY
        cohort,
        provider,
        request_model
    HAVING min(response_model) = max(response_model)
),

variants AS (
    SELECT
        trace_no,
        min(pilot_variant)  AS pilot_variant
    FROM spans
    WHERE pilot_variant IS NOT NULL
    GROUP BY trace_no
),

-- two markers of one handoff, or two agents that gave it: the last before it gave it
handing AS (
    SELECT
        agent_id,
        max_by(owner_id, (start_ns, marker_id))  AS owner_id
    FROM handed
    GROUP BY agent_id
),

failed AS (
    SELECT
        parent_id,
        type,
        name,
        min(end_ns)  AS end_ns
    FROM nodes
    WHERE is_error
        AND parent_id IS NOT NULL
    GROUP BY
        parent_id,
        type,
        name
),

resent AS (
    SELECT again.node_id
    FROM nodes AS again
    SEMI JOIN (
        SELECT group_id
        FROM parts
        WHERE retry_count > 0
    ) AS repeated
        ON repeated.group_id = again.node_id
    INNER JOIN failed
        ON failed.parent_id = again.parent_id
        AND failed.type = again.type
        AND failed.name = again.name
        AND failed.end_ns <= again.start_ns
),

crossings AS (
    SELECT
        nodes.*,
        parts.* EXCLUDE (
            group_id, cohort, fault_id, pilot_variant, response_model, request_model, retry_count
        ),
        -- Where the earlier tries are spans beside it, this span is one try.
        CASE WHEN resent.node_id IS NULL THEN parts.retry_count END                    AS retry_count,
        -- A call that failed names no model that answered: it goes with those that were answered.
        coalesce(parts.response_model, answering.response_model, parts.request_model)  AS model,
        parts.fault_id                                                              AS group_fault_id,
        coalesce(parts.pilot_variant, variants.pilot_variant)                       AS pilot_variant,
        times.server_ms,
        -- Half of the handoff lies on either side of the server: the rest of its offset is its clock's.
        CASE
            WHEN times.servers = 1
                AND times.server_end_ns - times.server_start_ns <= nodes.end_ns - nodes.start_ns
                AND (times.server_start_ns < nodes.start_ns - 2000000 OR times.server_end_ns > nodes.end_ns + 2000000)
                -- Who gave up did not wait for the end: that the server went on says nothing of clocks.
                AND NOT (
                    times.server_end_ns > nodes.end_ns
                    AND coalesce(nodes.error_class IN ('timeout', 'incomplete', 'cancelled'), false)
                )
            THEN ((nodes.start_ns + nodes.end_ns) / 2 - (times.server_start_ns + times.server_end_ns) / 2) / 1e6
        END                                                                         AS skew_ms,
        times.attempts,
        times.first_attempt_ms,
        times.last_attempt_ms,
        times.queue_ms,
        dispatched.caller_id                                                        AS dispatching_id,
        dispatched.dispatch_ms,
        coalesce(times.is_taken, false)                                             AS is_taken,
        coalesce(times.is_taken_by_agent, false)                                    AS is_taken_by_agent,
        times.taking_agent,
        times.taking_service,
        resources.resource,
        resources.access,
        CASE
            WHEN is_model(nodes.type) THEN 'model'
            WHEN nodes.type IN ('mcp_client', 'mcp_server') OR (nodes.type = 'tool' AND parts.has_mcp) THEN 'mcp'
            WHEN nodes.type = 'tool' THEN 'tool'
            WHEN nodes.type IN ('agent', 'workflow', 'handoff') OR times.is_taken_by_agent THEN 'agent'
            WHEN nodes.type = 'retriever' THEN 'retrieval'
            WHEN nodes.type IN ('memory', 'guardrail', 'evaluator') THEN nodes.type
            WHEN nodes.type = 'db' THEN 'database'
            WHEN nodes.type = 'cache' THEN 'cache'
            WHEN nodes.type = 'object_store' THEN 'storage'
            WHEN nodes.type LIKE 'queue%' THEN 'queue'
            WHEN nodes.type IN ('http_client', 'http_server', 'rpc_client', 'rpc_server', 'faas_client') THEN 'service'
        END                                                                         AS boundary_kind,
        -- a span may name its caller itself; the tree says it otherwise
        CASE
            WHEN nodes.type IN ('agent', 'workflow', 'handoff') OR times.is_taken_by_agent
            THEN plain_name(coalesce(
                CASE WHEN parts.graph_node_parent_id <> nodes.label THEN parts.graph_node_parent_id END,
                parts.handoff_from,
                parts.sender,
                owner.label
            ))
        END                                                                         AS named_caller
    FROM nodes
    INNER JOIN parts
        ON parts.group_id = nodes.node_id
    INNER JOIN resources
        ON resources.node_id = nodes.node_id
    LEFT JOIN answering
        ON answering.cohort = parts.cohort
        AND answering.provider IS NOT DISTINCT FROM parts.provider
        AND answering.request_model = parts.request_model
    LEFT JOIN times
        ON times.group_id = nodes.node_id
    LEFT JOIN dispatched
        ON dispatched.node_id = nodes.node_id
    LEFT JOIN variants
        ON variants.trace_no = nodes.trace_no
    LEFT JOIN handing
        ON handing.agent_id = nodes.node_id
    LEFT JOIN speakers AS owner
        ON owner.node_id = handing.owner_id
    LEFT JOIN resent
        ON resent.node_id = nodes.node_id
),

-- the last agent of that name that began before; none hands over to itself, there the one before counts
naming AS (
    SELECT
        trace_no,
        label,
        start_ns,
        node_id,
        lag(node_id) OVER (PARTITION BY trace_no, label ORDER BY start_ns, node_id)  AS earlier_id
    FROM speakers
    WHERE type IN ('agent', 'workflow')
        AND label IN (SELECT named_caller FROM crossings)
    QUALIFY row_number() OVER (PARTITION BY trace_no, label, start_ns ORDER BY node_id DESC) = 1
),

placed_callers AS (
    SELECT
        crossings.node_id,
        CASE WHEN naming.node_id = crossings.node_id THEN naming.earlier_id ELSE naming.node_id END  AS caller_id
    FROM (
        SELECT
            node_id,
            trace_no,
            named_caller,
            start_ns
        FROM crossings
        WHERE named_caller IS NOT NULL
    ) AS crossings
    ASOF INNER JOIN naming
        ON naming.trace_no = crossings.trace_no
        AND naming.label = crossings.named_caller
        AND naming.start_ns <= crossings.start_ns
),

named AS (
    SELECT
        crossings.*,
        coalesce(
            placed_callers.caller_id,
            CASE WHEN crossings.named_caller IS NULL THEN crossings.composite_id END
        )                                                                                AS caller_id,
        CASE
            WHEN is_server(crossings.type) AND crossings.parent_id IS NOT NULL THEN crossings.parent_service
            ELSE crossings.service
        END                                                                              AS owner_service,
        CASE
            WHEN crossings.named_caller IS NOT NULL THEN 'agent:' || crossings.named_caller
            ELSE speakers.speaker
        END                                                                              AS speaker,
        CASE
            WHEN speakers.type = 'ui' AND crossings.boundary_kind = 'service' THEN 'ui'
            ELSE crossings.boundary_kind
        END                                                                              AS final_kind,
        coalesce(crossings.named_caller, agent.label)                                    AS owner_agent,
        CASE
            WHEN crossings.boundary_kind = 'model' THEN
                'model:' || coalesce(crossings.provider, '?') || '/' || coalesce(crossings.model, '?')
            WHEN crossings.boundary_kind = 'mcp' THEN
                'mcp:' || coalesce(
                    crossings.mcp_uri,
                    coalesce(crossings.told_server, crossings.serving_service, crossings.server_host, '?')
                    || '/' || coalesce(crossings.tool_name, crossings.label, '?')
                )
            WHEN crossings.is_taken_by_agent THEN 'agent:' || coalesce(crossings.taking_agent, '?')
            -- A client that writes neither its kind nor whom it asks is named by its server.
            WHEN crossings.type = 'rpc_client'
                AND (crossings.kind = 'UNSPECIFIED' OR starts_with(crossings.resource, 'rpc:?/'))
            THEN coalesce(crossings.server_method, crossings.resource)
            WHEN crossings.type = 'http_client' AND starts_with(crossings.resource, 'http:?')
                AND crossings.callee_service IS NOT NULL
            THEN 'http:' || crossings.callee_service
                || coalesce(nullif(substr(crossings.resource, 7), ''), crossings.server_route, '')
            WHEN crossings.type = 'http_client'
                AND regexp_full_match(crossings.resource, 'http:[^/]*')
                AND crossings.server_route IS NOT NULL
            THEN crossings.resource || crossings.server_route
            ELSE crossings.resource
        END                                                                              AS callee
    FROM crossings
    LEFT JOIN placed_callers
        ON placed_callers.node_id = crossings.node_id
    LEFT JOIN speakers
        ON speakers.node_id = crossings.composite_id
    LEFT JOIN speakers AS agent
        ON agent.node_id = crossings.agent_id
),

called AS (
    SELECT
        *,
        coalesce(speaker, 'service:' || coalesce(owner_service, '?'))  AS caller,
        (end_ns - start_ns) / 1e6                                      AS client_ms
    FROM named
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
    coalesce(taking_service, callee_service, CASE WHEN is_server(type) THEN service END)  AS callee_service,
    owner_agent,
    owner_service,
    CASE
        WHEN is_server(type) THEN 'server'
        WHEN server_ms IS NOT NULL OR is_taken THEN 'both'
        WHEN kind IN ('CLIENT', 'PRODUCER') THEN 'client'
        ELSE 'in_process'
    END                                                             AS observed_side,
    make_timestamp(start_ns // 1000)                                AS started_at,
    start_ns,
    end_ns,
    client_ms,
    server_ms,
    -- A server that works longer than its caller waits was abandoned: no handoff time can be said.
    CASE WHEN server_ms <= client_ms THEN client_ms - server_ms END AS handoff_ms,
    queue_ms,
    greatest(coalesce(attempts, 1), coalesce(retry_count + 1, 1))   AS attempts,
    first_attempt_ms,
    client_ms - last_attempt_ms                                     AS retry_ms,
    -- Whoever another span names for the caller was not waiting within it.
    CASE WHEN caller_id = dispatching_id THEN dispatch_ms END       AS dispatch_ms,
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
    tenant,
    access,
    CASE WHEN server_ms > client_ms THEN server_ms - client_ms END  AS abandoned_ms,
    CASE WHEN final_kind = 'model' THEN cache_read_tokens END       AS cache_read_tokens,
    CASE WHEN final_kind = 'model' THEN cache_write_tokens END      AS cache_write_tokens,
    CASE WHEN final_kind = 'model' THEN reasoning_tokens END        AS reasoning_tokens,
    first_chunk_ms,
    CASE WHEN final_kind = 'model' THEN model_parameters END        AS model_parameters,
    skew_ms,
    timeout_ms,
    has_idempotency_key,
    http_method,
    http_status,
    api_version,
    coalesce(callee_version, CASE WHEN is_server(type) THEN service_version END)                    AS callee_version,
    root_id,
    -- whether the caller is told by another trace, which across/06_callers.sql finds
    false                                                           AS is_joined
FROM called;
