-- When were so many tries made that retries themselves were the load?
--
-- unit: tries
-- better: lower
-- grain: cohort, boundary_id, window_at

WITH

ordered AS (
    SELECT
        calls.*,
        coalesce(
            lag(is_error) OVER alike
                AND lag(end_ns) OVER alike <= start_ns,
            false
        )  AS is_retry
    FROM calls
    WINDOW alike AS (
        PARTITION BY coalesce(caller_id, -1 - call_id), boundary_id
        ORDER BY start_ns, call_id
    )
)

SELECT
    cohort,
    boundary_id,
    time_bucket(INTERVAL 5 MINUTE, started_at)         AS window_at,
    count(*)                                           AS calls,
    count(*) FILTER (NOT is_retry)                     AS logical,      -- calls that were meant
    sum(attempts)::BIGINT                              AS tries,        -- calls and the tries inside them
    count(*) FILTER (is_error)                         AS failed,
    count(DISTINCT trace_id)                           AS traces,
    sum(attempts) / nullif(count(*) FILTER (NOT is_retry), 0)  AS tries_per_call,
    min_by(trace_id, (started_at, call_id))            AS example_trace_id
FROM ordered
GROUP BY
    cohort,
    boundary_id,
    window_at
-- At least every second try a retry, twenty tries, and more than one trace: one stubborn caller is no storm.
HAVING tries >= 2 * logical
    AND tries >= 20
    AND traces >= 5
ORDER BY
    cohort,
    boundary_id,
    window_at
