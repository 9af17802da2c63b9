-- When were so many tries made that retries themselves were the load?
--
-- unit: tries
-- better: lower
-- grain: cohort, boundary_id, window_at

WITH

storms AS MATERIALIZED (
    SELECT
        boundary_no,
        (start_ns // 300000000000)::INTEGER         AS window_no,
        count(*)                                    AS calls,
        count(*) - count(since_failed_ns)           AS logical,
        sum(greatest(attempts, 1))::BIGINT          AS tries,
        count(*) FILTER (is_error)                  AS failed
    FROM calls
    GROUP BY
        boundary_no,
        window_no
    HAVING tries >= 2 * logical
        AND tries >= 20
),

met AS (
    SELECT
        calls.boundary_no,
        (calls.start_ns // 300000000000)::INTEGER                 AS window_no,
        count(DISTINCT calls.trace_no)                             AS traces,
        arg_min(calls.trace_id, (calls.start_ns, calls.call_id))   AS example_trace_id
    FROM calls
    SEMI JOIN storms
        ON storms.boundary_no = calls.boundary_no
        AND storms.window_no = (calls.start_ns // 300000000000)::INTEGER
    GROUP BY
        calls.boundary_no,
        window_no
)

SELECT
    boundaries.cohort,
    boundaries.boundary_id,
    make_timestamp(storms.window_no::BIGINT * 300000000)  AS window_at,
    storms.calls,
    storms.logical,                                       -- calls that were meant
    storms.tries,                                         -- calls and the tries inside them
    storms.failed,
    met.traces,
    storms.tries / nullif(storms.logical, 0)              AS tries_per_call,
    met.example_trace_id
FROM storms
INNER JOIN met
    ON met.boundary_no = storms.boundary_no
    AND met.window_no = storms.window_no
INNER JOIN boundaries
    ON boundaries.boundary_no = storms.boundary_no
WHERE met.traces >= 5
ORDER BY
    boundaries.cohort,
    boundaries.boundary_id,
    window_at
