-- How many tries does each call of a handoff take, and what do they cost?
--
-- unit: tries
-- better: lower
-- grain: cohort, boundary_id, bucket

SELECT
    tried.*,
    counted.units                                                  -- conversations, else traces, of all buckets
FROM (
    SELECT
        cohort,
        boundary_id,
        bucket,                                                    -- hash of the unit, 0 to 99, for the bootstrap
        count(*)                                                        AS calls,
        count(*) FILTER (since_failed_ns IS NULL)                       AS logical,    -- calls that were meant
        sum(attempts)::BIGINT                                           AS tries,      -- calls and the tries inside them
        count(*) FILTER (since_failed_ns IS NOT NULL OR attempts > 1)   AS retried,    -- calls that are a retry, or took one
        coalesce(sum(weight) FILTER (since_failed_ns IS NULL), 0)       AS weighed_logical,
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
) AS tried
INNER JOIN (
    SELECT
        cohort,
        boundary_id,
        count_units(unit_no)  AS units
    FROM calls
    GROUP BY
        cohort,
        boundary_id
) AS counted
    ON counted.cohort = tried.cohort
    AND counted.boundary_id = tried.boundary_id
ORDER BY
    tried.cohort,
    tried.boundary_id,
    tried.bucket
