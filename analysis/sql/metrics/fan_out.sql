-- Where does a caller wait for the last of several calls at once?
--
-- unit: ms
-- better: lower
-- grain: cohort, boundary_id, bucket

WITH

-- who ever makes a call before the last one ended; numbers only, since all calls are sorted
spreading AS (
    SELECT DISTINCT caller_id
    FROM (
        SELECT caller_id
        FROM calls
        WHERE caller_id IS NOT NULL
        QUALIFY start_ns < lag(end_ns) OVER (PARTITION BY caller_id ORDER BY start_ns, call_id)
    )
),

ordered AS (
    SELECT
        call_id,
        caller_id,
        start_ns,
        end_ns,
        coalesce(
            max(end_ns) OVER (
                PARTITION BY caller_id
                ORDER BY start_ns, call_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) <= start_ns,
            true
        )  AS is_first
    FROM calls
    SEMI JOIN spreading
        ON spreading.caller_id = calls.caller_id
),

islands AS (
    SELECT
        *,
        sum(is_first::INTEGER) OVER (PARTITION BY caller_id ORDER BY start_ns, call_id)  AS island
    FROM ordered
),

fans AS (
    SELECT
        count(*)                             AS width,
        arg_max(call_id, (end_ns, call_id))  AS last_id,
        max(end_ns, 2)[2]                    AS second_end_ns
    FROM islands
    GROUP BY
        caller_id,
        island
    HAVING count(*) >= 2
)

SELECT
    calls.cohort,
    calls.boundary_id,                                                             -- the call that ended last
    NULL::VARCHAR                                               AS other_boundary_id,
    (hash(requests.unit_id) % 100)::INTEGER                     AS bucket,         -- hash of the unit, for the bootstrap
    count(*)                                                    AS found,          -- fans whose last it was
    count(DISTINCT requests.request_id)                         AS requests,
    count(DISTINCT hash(requests.unit_id))                      AS units,
    sum(fans.width)::BIGINT                                     AS calls,
    max(fans.width)                                             AS most,           -- calls of one fan
    coalesce(sum(requests.weight * greatest(
        0, critical_path.until_ns - greatest(critical_path.from_ns, fans.second_end_ns)
    )), 0) / 1e6                                                AS cost_ms,        -- on the path, when it alone still ran
    arg_max(calls.trace_id, (
        critical_path.until_ns - greatest(critical_path.from_ns, fans.second_end_ns), calls.trace_id
    ))                                                          AS example_trace_id
FROM fans
INNER JOIN calls
    ON calls.call_id = fans.last_id
INNER JOIN nodes
    ON nodes.node_id = fans.last_id
INNER JOIN requests
    ON requests.request_id = nodes.root_id
LEFT JOIN critical_path
    ON critical_path.node_id = fans.last_id
GROUP BY
    calls.cohort,
    calls.boundary_id,
    bucket
ORDER BY
    calls.cohort,
    calls.boundary_id,
    bucket
