-- Which callers ask the same callee again and again, one call after another?
--
-- unit: ms
-- better: lower
-- grain: cohort, boundary_id, bucket

WITH

-- a failed call that is tried again is a retry; three that went well are one after another by design
repeated AS (
    SELECT
        calls.cohort,
        calls.boundary_id,
        calls.caller_id,
        any_value(requests.request_id)                           AS request_id,
        any_value(requests.unit_id)                              AS unit_id,
        any_value(requests.weight)                               AS weight,
        any_value(calls.trace_id)                                AS trace_id,
        count(*)                                                 AS repeats,
        sum(critical_path.until_ns - critical_path.from_ns)      AS path_ns,
        max(critical_path.until_ns - critical_path.from_ns)      AS longest_ns
    FROM calls
    INNER JOIN nodes
        ON nodes.node_id = calls.call_id
    INNER JOIN requests
        ON requests.request_id = nodes.root_id
    LEFT JOIN critical_path
        ON critical_path.node_id = calls.call_id
    WHERE calls.caller_id IS NOT NULL
        AND NOT calls.is_error
    GROUP BY
        calls.cohort,
        calls.boundary_id,
        calls.caller_id
    HAVING count(*) >= 3
)

SELECT
    cohort,
    boundary_id,
    NULL::VARCHAR                                                      AS other_boundary_id,
    (hash(unit_id) % 100)::INTEGER                         AS bucket,   -- hash of the unit, for the bootstrap
    count(*)                                                           AS found,    -- callers that did so
    count(DISTINCT request_id)                                         AS requests,
    count(DISTINCT unit_id)                                            AS units,
    sum(repeats)::BIGINT                                               AS calls,
    max(repeats)                                                       AS most,     -- calls of one caller
    coalesce(sum(weight * (path_ns - longest_ns)), 0) / 1e6            AS cost_ms,  -- on the path, beyond the longest one
    arg_max(trace_id, (path_ns - longest_ns, trace_id))                AS example_trace_id
FROM repeated
GROUP BY
    cohort,
    boundary_id,
    bucket
ORDER BY
    cohort,
    boundary_id,
    bucket
