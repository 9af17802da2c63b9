-- How many tries does each call of a handoff take, and what do they cost?
--
-- unit: tries
-- better: lower
-- grain: cohort, boundary_id, bucket

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
)

SELECT
    calls.cohort,
    calls.boundary_id,
    (hash(calls.unit_id) % 100)::INTEGER                                AS bucket,     -- hash of the unit
    count(*)                                                            AS calls,
    count(DISTINCT hash(calls.unit_id))                                 AS units,
    count(*) FILTER (again.call_id IS NULL)                             AS logical,    -- calls that were meant
    sum(calls.attempts)::BIGINT                                         AS tries,      -- calls and the tries inside them
    count(*) FILTER (again.call_id IS NOT NULL OR calls.attempts > 1)   AS retried,    -- calls that are a retry, or took one
    sum(calls.weight) FILTER (again.call_id IS NULL)                    AS weighed_logical,
    sum(calls.weight * calls.attempts)                                  AS weighed_tries,
    coalesce(sum(calls.weight * (
        coalesce(calls.retry_ms, 0) + coalesce(again.since_ns / 1e6 + calls.client_ms, 0)
    )), 0)                                                              AS retry_ms,   -- waited for later tries, pauses too
    coalesce(sum(calls.weight * calls.cost_usd) FILTER (again.call_id IS NOT NULL), 0)  AS retry_cost_usd
FROM calls
LEFT JOIN again
    ON again.call_id = calls.call_id
GROUP BY
    calls.cohort,
    calls.boundary_id,
    bucket
ORDER BY
    calls.cohort,
    calls.boundary_id,
    bucket
