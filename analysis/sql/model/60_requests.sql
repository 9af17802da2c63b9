-- requests: one row a user-facing entry, one thing somebody waited for (BOUNDARIES.md, types D13 and conversations).

CREATE OR REPLACE TABLE requests AS
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

entries AS (
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
),

-- a request that runs beside an earlier one for more than half its time belongs to the same turn
openings AS (
    SELECT
        *,
        coalesce(
            max(end_ns) OVER turn - start_ns
                <= 0.5 * least(
                    end_ns - start_ns,
                    arg_max(end_ns - start_ns, end_ns) OVER turn
                ),
            true
        )  AS is_opening
    FROM entries
    WHERE conversation_id IS NOT NULL
        AND is_conversing
    WINDOW turn AS (
        PARTITION BY cohort, conversation_id, environment
        ORDER BY start_ns, span_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
),

turns AS (
    SELECT
        node_id,
        sum(CASE WHEN is_opening THEN 1 ELSE 0 END) OVER (
            PARTITION BY cohort, conversation_id, environment
            ORDER BY start_ns, span_id
        )  AS turn_index
    FROM openings
)

SELECT
    entries.node_id                                                 AS request_id,
    entries.cohort,
    entries.day,
    entries.trace_id,
    entries.span_id,
    entries.trace_no,
    entries.operation,
    entries.service,
    entries.service_version,
    make_timestamp(entries.start_ns // 1000)                        AS started_at,
    entries.start_ns,
    entries.end_ns,
    (entries.end_ns - entries.start_ns) / 1e6                       AS duration_ms,
    entries.is_error                                                AS is_failed,
    entries.conversation_id,
    CASE
        WHEN entries.conversation_id IS NOT NULL THEN coalesce(entries.told_turn, turns.turn_index::BIGINT)
    END                                                             AS turn_index,
    coalesce(entries.conversation_id, entries.trace_id)             AS unit_id,
    entries.variant                                                 AS pilot_variant,
    entries.trace_fault_id                                          AS fault_id,
    coalesce(entries.weight, 1.0)                                   AS weight,
    entries.environment,
    entries.tenant
FROM entries
LEFT JOIN turns
    ON turns.node_id = entries.node_id
ORDER BY request_id;
