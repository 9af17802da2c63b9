-- What did callers do while none of their calls ran, and before which call?
--
-- unit: ms
-- better: lower
-- grain: cohort, boundary_id, other_boundary_id, bucket

WITH

-- within a caller's window the path goes from one of its children to the next
steps AS (
    SELECT
        nodes.parent_id,
        critical_path.call_id,
        critical_path.boundary_id,
        critical_path.from_ns - lag(critical_path.until_ns) OVER beside  AS gap_ns,
        critical_path.from_ns,
        critical_path.until_ns
    FROM critical_path
    INNER JOIN nodes
        ON nodes.node_id = critical_path.node_id
    WHERE nodes.parent_id IS NOT NULL
    WINDOW beside AS (PARTITION BY nodes.parent_id ORDER BY critical_path.from_ns, critical_path.until_ns)
),

known AS MATERIALIZED (
    SELECT
        request_id,
        cohort,
        trace_id,
        unit_id,
        weight,
        (hash(unit_id) % 100)::INTEGER  AS bucket
    FROM requests
),

-- who has no child at all works, and leaves nothing unexplained
parents AS (
    SELECT nodes.parent_id
    FROM critical_path
    INNER JOIN nodes
        ON nodes.parent_id = critical_path.node_id
    GROUP BY nodes.parent_id
),

callers AS (
    SELECT
        critical_path.request_id,
        critical_path.node_id,
        critical_path.call_id,
        critical_path.boundary_id,
        critical_path.from_ns,
        critical_path.until_ns
    FROM critical_path
    SEMI JOIN parents
        ON parents.parent_id = critical_path.node_id
),

pieces AS (
    SELECT
        callers.request_id,
        callers.boundary_id,
        CASE
            WHEN steps.call_id IS DISTINCT FROM callers.call_id THEN steps.boundary_id
        END                                                  AS next_boundary_id,
        coalesce(steps.gap_ns, steps.from_ns - callers.from_ns)  AS self_ns
    FROM callers
    INNER JOIN steps
        ON steps.parent_id = callers.node_id
    UNION ALL
    -- after the last of them, or where there is none
    SELECT
        callers.request_id,
        callers.boundary_id,
        NULL,
        callers.until_ns - coalesce(ended.until_ns, callers.from_ns)
    FROM callers
    LEFT JOIN (
        SELECT
            parent_id,
            max(until_ns)  AS until_ns
        FROM steps
        GROUP BY parent_id
    ) AS ended
        ON ended.parent_id = callers.node_id
)

SELECT
    requests.cohort,
    pieces.boundary_id,                                                        -- whose time; null: the entry's
    pieces.next_boundary_id                                     AS other_boundary_id,  -- before this call; null: before a step, or at the end
    requests.bucket,                                                           -- hash of the unit, for the bootstrap
    count(*)                                                    AS found,
    count(DISTINCT requests.request_id)                         AS requests,
    count(DISTINCT requests.unit_id)                            AS units,
    count(*)                                                    AS calls,
    1                                                           AS most,
    sum(requests.weight * pieces.self_ns) / 1e6                 AS cost_ms,    -- on the path, explained by nothing
    arg_max(requests.trace_id, (pieces.self_ns, requests.trace_id))  AS example_trace_id
FROM pieces
INNER JOIN known AS requests
    ON requests.request_id = pieces.request_id
WHERE pieces.self_ns > 0
GROUP BY
    requests.cohort,
    pieces.boundary_id,
    pieces.next_boundary_id,
    requests.bucket
ORDER BY
    requests.cohort,
    pieces.boundary_id,
    pieces.next_boundary_id,
    requests.bucket
