-- How many tries does each call of a handoff take, and what do they cost?
--
-- unit: tries
-- better: lower
-- grain: cohort, boundary_id, bucket

WITH

-- a call by the same caller that follows one that failed is the next try of the same logical call
ordered AS (
    SELECT
        calls.*,
        coalesce(
            lag(is_error) OVER alike
                AND lag(end_ns) OVER alike <= start_ns,
            false
        )  AS is_retry,
        start_ns - lag(end_ns) OVER alike  AS since_ns
    FROM calls
    WINDOW alike AS (
        PARTITION BY coalesce(caller_id, -1 - call_id), boundary_id
        ORDER BY start_ns, call_id
    )
)

SELECT
    cohort,
    boundary_id,
    (md5_number_lower(unit_id) % 100)::INTEGER                          AS bucket,     -- hash of the unit
    count(*)                                                            AS calls,
    count(DISTINCT unit_id)                                             AS units,
    count(*) FILTER (NOT is_retry)                                      AS logical,    -- calls that were meant
    sum(attempts)::BIGINT                                               AS tries,      -- calls and the tries inside them
    count(*) FILTER (is_retry OR attempts > 1)                          AS retried,    -- calls that are a retry, or took one
    sum(weight) FILTER (NOT is_retry)                                   AS weighed_logical,
    sum(weight * attempts)                                              AS weighed_tries,
    coalesce(sum(weight * (
        coalesce(retry_ms, 0) + CASE WHEN is_retry THEN since_ns / 1e6 + client_ms ELSE 0 END
    )), 0)                                                              AS retry_ms,   -- waited for later tries, pauses too
    coalesce(sum(weight * cost_usd) FILTER (is_retry), 0)               AS retry_cost_usd
FROM ordered
GROUP BY
    cohort,
    boundary_id,
    bucket
ORDER BY
    cohort,
    boundary_id,
    bucket
