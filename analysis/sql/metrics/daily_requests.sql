-- How did requests do from day to day?
--
-- unit: ms
-- better: lower
-- grain: cohort, day

SELECT
    cohort,
    day,
    count(*)                               AS requests,
    count(*) FILTER (is_failed)            AS failed,
    quantile_disc(duration_ms, 0.5)        AS p50_ms,
    quantile_disc(duration_ms, 0.95)       AS p95_ms,
    count(DISTINCT unit_id)                AS units      -- conversations, else traces
FROM requests
GROUP BY
    cohort,
    day
ORDER BY
    cohort,
    day
