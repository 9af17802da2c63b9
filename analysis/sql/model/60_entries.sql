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

-- what agents say that all below them used: counts where no model call of the trace says it itself
aggregated AS (
    SELECT
        nodes.root_id,
        sum(spans.input_tokens)::BIGINT   AS input_tokens,
        sum(spans.output_tokens)::BIGINT  AS output_tokens,
        sum(spans.cost_usd)               AS cost_usd
    FROM spans
    INNER JOIN nodes
        ON nodes.node_id = spans.node_id
    ANTI JOIN (
        SELECT trace_no
        FROM bare_calls
        WHERE input_tokens IS NOT NULL
    ) AS counted
        ON counted.trace_no = nodes.trace_no
    WHERE nodes.type IN ('agent', 'workflow')
        AND spans.input_tokens IS NOT NULL
    GROUP BY
        nodes.root_id,
        nodes.depth
    -- An agent's own agents are in its sum.
    QUALIFY nodes.depth = min(nodes.depth) OVER (PARTITION BY nodes.root_id)
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
        aggregated.input_tokens                                                 AS aggregated_input_tokens,
        aggregated.output_tokens                                                AS aggregated_output_tokens,
        aggregated.cost_usd                                                     AS aggregated_cost_usd,
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
    LEFT JOIN aggregated
        ON aggregated.root_id = nodes.node_id
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
    is_conversing,
    aggregated_input_tokens,
    aggregated_output_tokens,
    aggregated_cost_usd
FROM opened;
