-- nodes: one row a span, what it is, where it hangs and how it ended (BOUNDARIES.md, errors).
--
-- Soft outcomes (control_flow, retry_scheduled, incomplete, content_filter, truncated) have a class
-- and are no error.

CREATE OR REPLACE TABLE nodes AS
WITH

signals AS (
    SELECT
        spans.node_id,
        spans.day,
        spans.trace_id,
        spans.span_id,
        spans.service_version,
        spans.host,
        spans.name,
        spans.fault_id,
        spans.weight,
        spans.status,
        spans.status_message,
        spans.error_type,
        spans.exception_type,
        spans.exception_message,
        spans.error_code,
        spans.db_status,
        spans.http_status,
        spans.http_method,
        spans.db_system,
        spans.celery_state,
        spans.failure_stage,
        rpc_code(spans.rpc_status)                                               AS rpc,
        lower(spans.finish_reason)                                               AS finish,
        -- Most spans say nothing of an error, and expressions over nothing are dear.
        -- Words that errors quote, too, count where a text begins with them.
        coalesce(
            spans.error_type, spans.exception_type, spans.status_message, spans.exception_message
        ) IS NOT NULL AND regexp_matches(
            concat_ws(
                chr(10), spans.error_type, spans.exception_type, spans.status_message, spans.exception_message
            ),
            '(?m)GraphInterrupt|NodeInterrupt|GraphBubbleUp|ParentCommand|GraphDrained|CallDeferred'
            || '|ApprovalRequired|\bWatchError'
            || '|^(?:\w+\.)*(?:StopIteration|StopAsyncIteration|GeneratorExit)\b|^(?:\w+\.)*Command\('
        )                                                                        AS is_control,
        spans.error_type IS NOT NULL
            OR upper(spans.log_level) IN ('ERROR', 'FATAL')
            OR coalesce(TRY_CAST(spans.log_level AS DOUBLE), 0) >= 17
            OR lower(spans.tool_status) IN ('error', 'failure', 'failed')
            OR spans.task_status = 'failure'
            OR spans.celery_state = 'FAILURE'                                    AS is_marked
    FROM spans
),

judged AS (
    SELECT
        signals.* EXCLUDE (node_id),
        tree.* EXCLUDE (
            is_root, parent_kind, is_parent_browser, is_browser, has_links, call_hash, answer_hash, host_hash,
            query_hash, operation, is_program, is_probe
        ),
        CASE
            WHEN is_control OR celery_state = 'RETRY' THEN false
            WHEN status = 'OK' THEN false
            WHEN status = 'ERROR' OR is_marked THEN true
            WHEN finish IS NOT NULL AND regexp_matches(finish, '\berror\b') THEN true
            WHEN kind = 'SERVER' THEN
                coalesce(http_status >= 500, false)
                OR coalesce(rpc IN (2, 4, 12, 13, 14, 15, -32603) OR rpc BETWEEN -32099 AND -32000, false)
            WHEN kind = 'CLIENT' THEN coalesce(http_status >= 400, false) OR coalesce(rpc <> 0, false)
            ELSE false
        END  AS is_error
    FROM signals
    INNER JOIN tree
        ON tree.node_id = signals.node_id
)

SELECT
    judged.node_id,
    judged.parent_id,
    judged.parent_state,
    judged.is_parent_remote,
    judged.is_cyclic,
    judged.cohort,
    judged.day,
    judged.trace_id,
    judged.span_id,
    judged.trace_no,
    judged.service,
    judged.parent_service,
    judged.service_version,
    judged.host,
    judged.name,
    judged.kind,
    judged.scope                                                     AS scope_name,
    judged.start_ns,
    judged.end_ns,
    judged.type,
    judged.rule,
    judged.role,
    CASE WHEN judged.type <> 'step' THEN judged.label END            AS label,
    openings.node_id IS NOT NULL                                     AS is_user_facing,
    lost.node_id IS NOT NULL                                         AS is_cut,
    judged.conversation_id,
    judged.is_conversation_told,
    judged.is_error,
    CASE
        WHEN is_control THEN 'control_flow'
        WHEN celery_state = 'RETRY' THEN 'retry_scheduled'
        WHEN is_error THEN coalesce(
            CASE WHEN failure_stage = 'validation' THEN 'contract' END,
            http_class(http_status),
            rpc_class(rpc),
            http_class(TRY_CAST(error_type AS INTEGER)),
            rpc_class(rpc_code(error_type)),
            named_class(error_type),
            named_class(exception_type),
            named_class(db_status),
            http_class(error_code),
            named_class(status_message),
            named_class(exception_message),
            'unknown'
        )
        WHEN finish IS NOT NULL AND regexp_matches(finish, 'content[_-]?filter|safety') THEN 'content_filter'
        WHEN finish IS NOT NULL AND regexp_matches(finish, 'length|max_tokens') THEN 'truncated'
        -- A caller that was cancelled, or gave up, ends its span and says nothing.
        WHEN status = 'UNSET' AND kind = 'CLIENT' AND type IN ('http_client', 'model')
            AND http_method IS NOT NULL AND http_status IS NULL AND db_system IS NULL
            AND exception_type IS NULL AND error_type IS NULL
        THEN 'incomplete'
    END                                                              AS error_class,
    judged.fault_id,
    judged.root_id,
    judged.solid_id,
    judged.composite_id,
    judged.agent_id,
    judged.depth,
    judged.is_across,
    judged.status,
    judged.status_message,
    judged.error_type,
    judged.exception_type,
    judged.exception_message,
    judged.weight
FROM judged
LEFT JOIN openings
    ON openings.node_id = judged.node_id
LEFT JOIN lost
    ON lost.node_id = judged.node_id;
