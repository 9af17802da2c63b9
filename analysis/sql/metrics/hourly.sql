-- How did each handoff do from hour to hour?
--
-- unit: ms
-- better: lower
-- grain: cohort, boundary_id, hour_at

SELECT
    cohort,
    boundary_id,
    date_trunc('hour', started_at)         AS hour_at,
    count(*)                               AS calls,
    count(*) FILTER (is_error)             AS failed,
    quantile_disc(client_ms, 0.5)          AS p50_ms,
    quantile_disc(client_ms, 0.95)         AS p95_ms
FROM calls
GROUP BY
    cohort,
    boundary_id,
    hour_at
ORDER BY
    cohort,
    boundary_id,
    hour_at
