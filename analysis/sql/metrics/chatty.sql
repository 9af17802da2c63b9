-- Between which two is so much said that the way there costs more than one call would?
--
-- unit: ms
-- better: lower
-- grain: cohort, boundary_id, bucket

WITH

-- what the caller's side waits for, where the callee's side is seen
ways AS (
    SELECT
        critical_path.call_id,
        sum(critical_path.self_ns)  AS way_ns
    FROM critical_path
    INNER JOIN groups
        ON groups.node_id = critical_path.node_id
        AND groups.group_id = critical_path.call_id
        AND groups.part <> 'server'
    INNER JOIN calls
        ON calls.call_id = critical_path.call_id
        AND calls.server_ms IS NOT NULL
    GROUP BY critical_path.call_id
),

said AS (
    SELECT
        calls.cohort,
        calls.boundary_id,
        requests.request_id,
        requests.unit_id,
        any_value(requests.weight)       AS weight,
        any_value(calls.trace_id)        AS trace_id,
        count(*)                         AS often,
        coalesce(sum(ways.way_ns), 0)    AS way_ns
    FROM calls
    INNER JOIN nodes
        ON nodes.node_id = calls.call_id
    INNER JOIN requests
        ON requests.request_id = nodes.root_id
    LEFT JOIN ways
        ON ways.call_id = calls.call_id
    WHERE calls.server_ms IS NOT NULL
    GROUP BY
        calls.cohort,
        calls.boundary_id,
        requests.request_id,
        requests.unit_id
    HAVING count(*) >= 5
)

SELECT
    cohort,
    boundary_id,
    NULL::VARCHAR                                                  AS other_boundary_id,
    (hash(unit_id) % 100)::INTEGER                     AS bucket,    -- hash of the unit, for the bootstrap
    count(*)                                                       AS found,     -- requests that did so, five calls or more
    count(*)                                                       AS requests,
    count(DISTINCT unit_id)                                        AS units,
    sum(often)::BIGINT                                             AS calls,
    max(often)                                                     AS most,      -- calls of one request
    sum(weight * way_ns * (often - 1) / often) / 1e6               AS cost_ms,   -- ways on the path, beyond one of them
    arg_max(trace_id, (way_ns, trace_id))                          AS example_trace_id
FROM said
GROUP BY
    cohort,
    boundary_id,
    bucket
ORDER BY
    cohort,
    boundary_id,
    bucket
