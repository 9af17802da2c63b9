-- Where does a caller wait for the last of several calls at once?
--
-- unit: ms
-- better: lower
-- grain: cohort, boundary_id, bucket

WITH

ordered AS (
    SELECT
        calls.cohort,
        calls.trace_id,
        calls.call_id,
        calls.caller_id,
        calls.boundary_id,
        calls.start_ns,
        calls.end_ns,
        nodes.root_id,
        coalesce(
            max(calls.end_ns) OVER (
                PARTITION BY calls.caller_id
                ORDER BY calls.start_ns, calls.call_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) <= calls.start_ns,
            true
        )  AS is_first
    FROM calls
    INNER JOIN nodes
        ON nodes.node_id = calls.call_id
    WHERE calls.caller_id IS NOT NULL
),

islands AS (
    SELECT
        *,
        sum(is_first::INTEGER) OVER (PARTITION BY caller_id ORDER BY start_ns, call_id)  AS island
    FROM ordered
),

fans AS (
    SELECT
        any_value(cohort)                          AS cohort,
        any_value(trace_id)                        AS trace_id,
        any_value(root_id)                         AS root_id,
        count(*)                                   AS width,
        arg_max(call_id, (end_ns, call_id))        AS last_id,
        arg_max(boundary_id, (end_ns, call_id))    AS boundary_id,
        max(end_ns, 2)[2]                          AS second_end_ns
    FROM islands
    GROUP BY
        caller_id,
        island
    HAVING count(*) >= 2
)

SELECT
    fans.cohort,
    fans.boundary_id,                                                              -- the call that ended last
    NULL::VARCHAR                                               AS other_boundary_id,
    (md5_number_lower(requests.unit_id) % 100)::INTEGER         AS bucket,         -- hash of the unit, for the bootstrap
    count(*)                                                    AS found,          -- fans whose last it was
    count(DISTINCT requests.request_id)                         AS requests,
    count(DISTINCT requests.unit_id)                            AS units,
    sum(fans.width)::BIGINT                                     AS calls,
    max(fans.width)                                             AS most,           -- calls of one fan
    coalesce(sum(requests.weight * greatest(
        0, critical_path.until_ns - greatest(critical_path.from_ns, fans.second_end_ns)
    )), 0) / 1e6                                                AS cost_ms,        -- on the path, when it alone still ran
    arg_max(fans.trace_id, (
        critical_path.until_ns - greatest(critical_path.from_ns, fans.second_end_ns), fans.trace_id
    ))                                                          AS example_trace_id
FROM fans
INNER JOIN requests
    ON requests.request_id = fans.root_id
LEFT JOIN critical_path
    ON critical_path.node_id = fans.last_id
GROUP BY
    fans.cohort,
    fans.boundary_id,
    bucket
ORDER BY
    fans.cohort,
    fans.boundary_id,
    bucket
