-- entries: one row a user-facing entry, one thing somebody waited for (BOUNDARIES.md, types D13).
--
-- What other traces say of it, its turn, is told in `requests`.

CREATE OR REPLACE TABLE entries AS
WITH

marks AS (
    SELECT
        trace_no,
        min(pilot_variant)  AS pilot_variant,
        min(fault_id)       AS fault_id
    FROM spans
    WHERE pilot_variant IS NOT NULL
        OR fault_id IS NOT NULL
    GROUP BY trace_no
),

-- roots under which an agent or a model worked: only those are turns of a conversation
conversing AS (
    SELECT DISTINCT root_id
    FROM nodes
    WHERE type IN ('agent', 'workflow', 'model')
),

opened AS (
    SELECT
        nodes.*,
        spans.turn_index                                                        AS told_turn,
        spans.environment,
        spans.tenant,
        coalesce(spans.pilot_variant, marks.pilot_variant)                      AS variant,
        coalesce(spans.fault_id, marks.fault_id)                                AS trace_fault_id,
        conversing.root_id IS NOT NULL                                          AS is_conversing,
        CASE
            WHEN nodes.type IN ('agent', 'workflow') THEN 'agent:' || coalesce(nodes.label, '?')
            ELSE operation_name(nodes.type, spans.http_method, spans.http_route, spans.url_path, nodes.name)
        END                                                                     AS operation
    FROM nodes
    INNER JOIN spans
        ON spans.node_id = nodes.node_id
    LEFT JOIN marks
        ON marks.trace_no = nodes.trace_no
    LEFT JOIN conversing
        ON conversing.root_id = nodes.root_id
    WHERE nodes.is_user_facing
)

SELECT
    node_id                                                         AS request_id,
    cohort,
    day,
    trace_id,
    span_id,
    trace_no,
    operation,
    service,
    service_version,
    make_timestamp(start_ns // 1000)                                AS started_at,
    start_ns,
    end_ns,
    (end_ns - start_ns) / 1e6                                       AS duration_ms,
    is_error                                                        AS is_failed,
    conversation_id,
    coalesce(conversation_id, trace_id)                             AS unit_id,
    variant                                                         AS pilot_variant,
    trace_fault_id                                                  AS fault_id,
    coalesce(weight, 1.0)                                           AS weight,
    environment,
    tenant,
    told_turn,
    is_conversing
FROM opened;
