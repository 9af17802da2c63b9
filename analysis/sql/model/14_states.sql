-- states: one row a span, whether it failed and of what class (BOUNDARIES.md, errors).
--
-- Soft outcomes (control_flow, retry_scheduled, incomplete, content_filter, truncated) have a class
-- and are no error.

CREATE OR REPLACE TEMP TABLE states AS
WITH

signals AS (
    SELECT
        spans.node_id,
        tree.type,
        spans.status,
        spans.http_status,
        rpc_code(spans.rpc_status)                                               AS rpc,
        spans.kind,
        spans.celery_state,
        coalesce(lower(spans.finish_reason), '')                                 AS finish,
        regexp_matches(
            concat_ws(' ', spans.error_type, spans.exception_type, spans.status_message),
            'GraphInterrupt|NodeInterrupt|GraphBubbleUp|ParentCommand|GraphDrained|Command\(|CallDeferred'
            || '|ApprovalRequired|StopIteration|StopAsyncIteration|GeneratorExit|\bWatchError'
        )                                                                        AS is_control,
        spans.error_type IS NOT NULL
            OR upper(spans.log_level) IN ('ERROR', 'FATAL')
            OR coalesce(TRY_CAST(spans.log_level AS DOUBLE), 0) >= 17
            OR lower(spans.tool_status) IN ('error', 'failure', 'failed')
            OR spans.task_status = 'failure'
            OR spans.celery_state = 'FAILURE'                                    AS is_marked,
        spans.exception_type IS NULL AND spans.error_type IS NULL                AS is_silent,
        spans.db_system IS NULL AND tree.type IN ('http_client', 'model')
            AND spans.kind = 'CLIENT' AND spans.http_method IS NOT NULL          AS is_http_client,
        spans.failure_stage = 'validation'        AS is_invalid_call,
        spans.error_type,
        spans.exception_type,
        spans.db_status,
        spans.status_message,
        spans.exception_message,
        spans.error_code
    FROM spans
    INNER JOIN tree
        ON tree.node_id = spans.node_id
),

judged AS (
    SELECT
        *,
        CASE
            WHEN is_control OR celery_state = 'RETRY' THEN false
            WHEN status = 'OK' THEN false
            WHEN status = 'ERROR' OR is_marked THEN true
            WHEN regexp_matches(finish, '\berror\b') THEN true
            WHEN kind = 'SERVER' THEN
                coalesce(http_status >= 500, false)
                OR coalesce(rpc IN (2, 4, 12, 13, 14, 15, -32603) OR rpc BETWEEN -32099 AND -32000, false)
            WHEN kind = 'CLIENT' THEN coalesce(http_status >= 400, false) OR coalesce(rpc <> 0, false)
            ELSE false
        END  AS is_error
    FROM signals
)

SELECT
    node_id,
    is_error,
    CASE
        WHEN is_control THEN 'control_flow'
        WHEN celery_state = 'RETRY' THEN 'retry_scheduled'
        WHEN is_error THEN coalesce(
            CASE WHEN is_invalid_call THEN 'contract' END,
            http_class(http_status),
            rpc_class(rpc),
            http_class(TRY_CAST(error_type AS INTEGER)),
            rpc_class(TRY_CAST(error_type AS INTEGER)),
            named_class(error_type),
            named_class(exception_type),
            named_class(db_status),
            http_class(error_code),
            named_class(status_message),
            named_class(exception_message),
            'unknown'
        )
        WHEN regexp_matches(finish, 'content[_-]?filter|safety') THEN 'content_filter'
        WHEN regexp_matches(finish, 'length|max_tokens') THEN 'truncated'
        WHEN status = 'UNSET' AND is_http_client AND http_status IS NULL AND is_silent THEN 'incomplete'
    END      AS error_class
FROM judged;
