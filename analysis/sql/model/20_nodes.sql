-- nodes: one row a span, what it is, where it hangs and how it ended.

CREATE OR REPLACE TABLE nodes AS
WITH

-- a trace with one conversation gives it to all its spans
conversations AS (
    SELECT
        trace_no,
        CASE WHEN count(DISTINCT conversation_id) = 1 THEN min(conversation_id) END  AS conversation_id
    FROM spans
    GROUP BY trace_no
)

SELECT
    spans.node_id,
    tree.parent_id,
    tree.parent_state,
    tree.is_cyclic,
    spans.cohort,
    spans.day,
    spans.trace_id,
    spans.span_id,
    spans.trace_no,
    spans.service_name                                               AS service,
    spans.service_version,
    spans.host,
    spans.name,
    spans.kind,
    spans.scope_name,
    spans.start_ns,
    spans.end_ns,
    tree.type,
    tree.rule,
    CASE
        WHEN is_transparent(tree.type) THEN 'transparent'
        WHEN is_composite(tree.type) THEN 'composite'
        ELSE 'leaf'
    END                                                              AS role,
    CASE
        WHEN tree.type = 'agent' THEN coalesce(
            plain_name(spans.agent_name),
            CASE WHEN spans.vendor IN ('agent', 'workflow') THEN plain_name(spans.entity_name) END,
            plain_name(spans.graph_node_id), plain_name(spans.executor_id), bare_name(spans.name)
        )
        WHEN tree.type = 'workflow' THEN coalesce(
            CASE WHEN tree.rule <> 'D12' THEN plain_name(spans.workflow_name) END,
            CASE WHEN spans.vendor IN ('agent', 'workflow') THEN plain_name(spans.entity_name) END,
            plain_name(spans.agent_name), bare_name(spans.name)
        )
        WHEN tree.type IN ('tool', 'mcp_client', 'mcp_server') THEN coalesce(
            plain_name(spans.tool_name),
            CASE WHEN spans.vendor = 'tool' THEN plain_name(spans.entity_name) END,
            uri_template(spans.mcp_resource_uri),
            CASE WHEN tree.type = 'tool' THEN bare_name(spans.name) ELSE spans.mcp END
        )
        WHEN tree.type = 'handoff' THEN plain_name(coalesce(
            spans.handoff_to,
            regexp_extract(spans.tool_name, '^transfer_to_(.+)$', 1),
            nullif(regexp_extract(spans.name, '(?i)handoff to (.+)$', 1), '')
        ))
        WHEN tree.type IN ('model', 'embedding', 'reranker') THEN
            coalesce(provider_name(spans.provider), nullif(spans.host_provider, ''), '?') || '/'
            || coalesce(nullif(spans.response_model, 'unknown'), nullif(spans.request_model, 'unknown'), '?')
        WHEN tree.type IN ('retriever', 'guardrail', 'evaluator', 'memory') THEN coalesce(
            plain_name(CASE tree.type
                WHEN 'retriever' THEN spans.data_source_id
                WHEN 'guardrail' THEN spans.guardrail_name
                WHEN 'evaluator' THEN spans.evaluation_name
                WHEN 'memory' THEN spans.memory_store
            END),
            plain_name(spans.entity_name),
            bare_name(spans.name)
        )
    END                                                              AS label,
    -- A parent that was lost is a hole in the trace; a parent elsewhere is a client we cannot see.
    (
        tree.parent_state IN ('root', 'remote')
        OR (tree.parent_state = 'missing' AND spans.is_parent_remote IS NULL)
    )
        AND NOT tree.is_cyclic
        AND (
            (
                tree.type IN ('http_server', 'rpc_server', 'ui')
                AND lost.node_id IS NULL
                AND NOT regexp_matches(
                    coalesce(spans.http_route, spans.url_path, ''),
                    '^/(health|ready|live)[^/]*(/|$)|^/metrics$|^/favicon\.ico$'
                )
            )
            OR (tree.parent_state = 'root' AND tree.type IN ('agent', 'workflow'))
            OR (
                tree.parent_state = 'root'
                AND tree.type IN ('internal', 'step', 'prompt')
                AND working.root_id IS NOT NULL
            )
        )                                                            AS is_user_facing,
    lost.node_id IS NOT NULL                                         AS is_cut,
    coalesce(conversations.conversation_id, tree.conversation_id)    AS conversation_id,
    states.is_error,
    states.error_class,
    spans.fault_id,
    tree.root_id,
    tree.solid_id,
    tree.composite_id,
    tree.agent_id,
    tree.depth,
    tree.is_across,
    spans.status,
    spans.status_message,
    spans.error_type,
    spans.exception_type,
    spans.exception_message,
    spans.weight
FROM spans
INNER JOIN tree
    ON tree.node_id = spans.node_id
INNER JOIN states
    ON states.node_id = spans.node_id
INNER JOIN conversations
    ON conversations.trace_no = spans.trace_no
LEFT JOIN working
    ON working.root_id = spans.node_id
LEFT JOIN lost
    ON lost.node_id = spans.node_id
ORDER BY spans.node_id;
