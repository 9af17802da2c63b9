-- How many tries does each call of a handoff take, and what do they cost?
--
-- unit: tries
-- better: lower
-- grain: cohort, boundary_id, bucket

SELECT
    cohort,
    boundary_id,
    (hash(unit_id) % 100)::INTEGER                                  AS bucket,     -- hash of the unit
    count(*)                                                        AS calls,
    count(DISTINCT hash(unit_id))                                   AS units,
    count(*) FILTER (since_failed_ns IS NULL)                       AS logical,    -- calls that were meant
    sum(attempts)::BIGINT                                           AS tries,      -- calls and the tries inside them
    count(*) FILTER (since_failed_ns IS NOT NULL OR attempts > 1)   AS retried,    -- calls that are a retry, or took one
    sum(weight) FILTER (since_failed_ns IS NULL)                    AS weighed_logical,
    sum(weight * attempts)                                          AS weighed_tries,
    coalesce(sum(weight * (
        coalesce(retry_ms, 0) + coalesce(since_failed_ns / 1e6 + client_ms, 0)
    )), 0)                                                          AS retry_ms,   -- waited for later tries, pauses too
    coalesce(sum(weight * cost_usd) FILTER (since_failed_ns IS NOT NULL), 0)  AS retry_cost_usd
FROM calls
GROUP BY
    cohort,
    boundary_id,
    bucket
ORDER BY
    cohort,
    boundary_id,
    bucket
