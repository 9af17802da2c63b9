-- How many of each handoff's tries were made in retry storms, in each four hours?
--
-- unit: tries
-- better: lower
-- grain: cohort, boundary_id, block_no

WITH

windows AS MATERIALIZED (
    SELECT
        boundary_no,
        (start_ns // 300000000000)::INTEGER         AS window_no,
        sum(greatest(attempts, 1))::BIGINT          AS tries,
        sum(weight * greatest(attempts, 1))         AS weighed_tries,
        sum(greatest(attempts, 1)) >= 20
        AND sum(greatest(attempts, 1)) >= 2 * (count(*) - count(since_failed_ns))  AS is_dense
    FROM calls
    GROUP BY
        boundary_no,
        window_no
),

storms AS (
    SELECT
        calls.boundary_no,
        (calls.start_ns // 300000000000)::INTEGER  AS window_no
    FROM calls
    SEMI JOIN (FROM windows WHERE is_dense) AS dense
        ON dense.boundary_no = calls.boundary_no
        AND dense.window_no = (calls.start_ns // 300000000000)::INTEGER
    GROUP BY
        calls.boundary_no,
        window_no
    HAVING count(DISTINCT calls.trace_no) >= 5
)

SELECT
    boundaries.cohort,
    boundaries.boundary_id,
    windows.window_no // 48                             AS block_no,       -- four hours since 1970
    min(windows.window_no)                              AS first_window_no,  -- five minutes since 1970
    max(windows.window_no)                              AS last_window_no,
    sum(windows.tries)::BIGINT                          AS tries,          -- calls and the tries inside them
    sum(windows.weighed_tries)                          AS weighed_tries,  -- tries these stand for, where traces were sampled
    coalesce(sum(windows.weighed_tries) FILTER (storms.window_no IS NOT NULL), 0)  AS weighed_stormy,
    count(storms.window_no)                             AS storms
FROM windows
INNER JOIN boundaries
    ON boundaries.boundary_no = windows.boundary_no
LEFT JOIN storms
    ON storms.boundary_no = windows.boundary_no
    AND storms.window_no = windows.window_no
GROUP BY
    boundaries.cohort,
    boundaries.boundary_id,
    block_no
ORDER BY
    boundaries.cohort,
    boundaries.boundary_id,
    block_no
