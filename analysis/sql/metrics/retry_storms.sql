-- When were so many tries made that retries themselves were the load?
--
-- unit: tries
-- better: lower
-- grain: cohort, boundary_id, window_at

WITH

-- a call by the same caller that follows one that failed is the next try of the same logical call
failing AS (
    SELECT DISTINCT
        caller_id,
        boundary_id
    FROM calls
    WHERE is_error
),

again AS (
    SELECT
        calls.call_id,
        calls.start_ns - lag(calls.end_ns) OVER alike  AS since_ns
    FROM calls
    INNER JOIN failing
        ON failing.caller_id = calls.caller_id
        AND failing.boundary_id = calls.boundary_id
    WINDOW alike AS (
        PARTITION BY calls.caller_id, calls.boundary_id
        ORDER BY calls.start_ns, calls.call_id
    )
    QUALIFY lag(calls.is_error) OVER alike
        AND lag(calls.end_ns) OVER alike <= calls.start_ns
),

storms AS (
    SELECT
        calls.cohort,
        calls.boundary_id,
        time_bucket(INTERVAL 5 MINUTE, calls.started_at)  AS window_at,
        count(*)                                          AS calls,
        count(*) FILTER (again.call_id IS NULL)           AS logical,
        sum(calls.attempts)::BIGINT                       AS tries,
        count(*) FILTER (calls.is_error)                  AS failed
    FROM calls
    LEFT JOIN again
        ON again.call_id = calls.call_id
    GROUP BY
        calls.cohort,
        calls.boundary_id,
        window_at
    HAVING tries >= 2 * logical
        AND tries >= 20
)

SELECT
    storms.cohort,
    storms.boundary_id,
    storms.window_at,
    any_value(storms.calls)                                    AS calls,
    any_value(storms.logical)                                  AS logical,      -- calls that were meant
    any_value(storms.tries)                                    AS tries,        -- calls and the tries inside them
    any_value(storms.failed)                                   AS failed,
    count(DISTINCT calls.trace_no)                             AS traces,
    any_value(storms.tries / nullif(storms.logical, 0))        AS tries_per_call,
    min_by(calls.trace_id, (calls.started_at, calls.call_id))  AS example_trace_id
FROM storms
INNER JOIN calls
    ON calls.cohort = storms.cohort
    AND calls.boundary_id = storms.boundary_id
    AND time_bucket(INTERVAL 5 MINUTE, calls.started_at) = storms.window_at
GROUP BY
    storms.cohort,
    storms.boundary_id,
    storms.window_at
HAVING traces >= 5
ORDER BY
    storms.cohort,
    storms.boundary_id,
    storms.window_at
