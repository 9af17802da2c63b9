-- In which five minutes were how many calls slower than 95 of 100 are?
--
-- unit: calls
-- better: lower
-- grain: cohort, boundary_id, window_at

WITH

limits AS (
    SELECT
        cohort,
        boundary_id,
        quantile_disc(client_ms, 0.95)               AS limit_ms,
        count(DISTINCT date_trunc('day', started_at))  AS days
    FROM calls
    GROUP BY
        cohort,
        boundary_id
)

SELECT
    calls.cohort,
    calls.boundary_id,
    time_bucket(INTERVAL 5 MINUTE, calls.started_at)           AS window_at,
    any_value(limits.limit_ms)                                 AS limit_ms,  -- p95 of the whole scope
    any_value(limits.days)                                     AS days,      -- that the limit rests on
    count(*)                                                   AS calls,
    count(*) FILTER (calls.client_ms > limits.limit_ms)        AS over,      -- calls slower than the limit
    arg_max(calls.trace_id, (calls.client_ms, calls.call_id))  AS example_trace_id
FROM calls
INNER JOIN limits
    ON limits.cohort = calls.cohort
    AND limits.boundary_id = calls.boundary_id
GROUP BY
    calls.cohort,
    calls.boundary_id,
    window_at
ORDER BY
    calls.cohort,
    calls.boundary_id,
    window_at
