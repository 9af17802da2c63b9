-- When were so many tries made that retries themselves were the load?
--
-- unit: tries
-- better: lower
-- grain: cohort, boundary_id, window_at

WITH

storms AS (
    SELECT
        calls.cohort,
        calls.boundary_id,
        time_bucket(INTERVAL 5 MINUTE, calls.started_at)  AS window_at,
        count(*)                                          AS calls,
        count(*) FILTER (since_failed_ns IS NULL)           AS logical,
        sum(calls.attempts)::BIGINT                       AS tries,
        count(*) FILTER (calls.is_error)                  AS failed
    FROM calls
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
