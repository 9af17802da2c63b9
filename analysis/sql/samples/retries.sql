-- How many tries does each call of a handoff take, and what do they cost?
--
-- unit: tries
-- better: lower
-- grain: cohort, boundary_id, bucket

SELECT
    boundaries.cohort,
    boundaries.boundary_id,
    tried.bucket,                                                  -- hash of the unit, 0 to 99, for the bootstrap
    tried.calls,
    tried.calls - coalesce(again.again, 0)                 AS logical,    -- calls that were meant
    tried.tries,                                                   -- calls and the tries inside them
    coalesce(again.retried, 0)                             AS retried,    -- calls that are a retry, or took one
    tried.weighed_calls - coalesce(again.weighed_again, 0)  AS weighed_logical,
    tried.weighed_tries,
    coalesce(again.retry_ms, 0)                            AS retry_ms,   -- waited for later tries, pauses too
    coalesce(again.retry_cost_usd, 0)                      AS retry_cost_usd,
    counted.units                                                  -- conversations, else traces, of all buckets
FROM (
    SELECT
        boundary_no,
        bucket,
        count(*)                AS calls,
        sum(attempts)::BIGINT   AS tries,
        sum(weight)             AS weighed_calls,
        sum(weight * attempts)  AS weighed_tries
    FROM calls
    GROUP BY
        boundary_no,
        bucket
) AS tried
-- few, as a rule
LEFT JOIN (
    SELECT
        boundary_no,
        bucket,
        count(since_failed_ns)                                       AS again,
        count(*) FILTER (since_failed_ns IS NOT NULL OR attempts > 1)  AS retried,
        sum(weight) FILTER (since_failed_ns IS NOT NULL)             AS weighed_again,
        sum(weight * (
            coalesce(retry_ms, 0) + coalesce(since_failed_ns / 1e6 + client_ms, 0)
        ))                                                           AS retry_ms,
        sum(weight * cost_usd) FILTER (since_failed_ns IS NOT NULL)  AS retry_cost_usd
    FROM calls
    WHERE since_failed_ns IS NOT NULL
        OR attempts > 1
        OR retry_ms > 0
    GROUP BY
        boundary_no,
        bucket
) AS again
    ON again.boundary_no = tried.boundary_no
    AND again.bucket = tried.bucket
INNER JOIN (
    SELECT
        boundary_no,
        count_units(unit_no)  AS units
    FROM calls
    GROUP BY boundary_no
) AS counted
    ON counted.boundary_no = tried.boundary_no
INNER JOIN boundaries
    ON boundaries.boundary_no = tried.boundary_no
ORDER BY
    boundaries.cohort,
    boundaries.boundary_id,
    tried.bucket
