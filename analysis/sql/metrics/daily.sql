-- How did each handoff do from day to day?
--
-- unit: ms
-- better: lower
-- grain: cohort, day, boundary_id

SELECT
    cohort,
    day,
    boundary_id,
    count(*)                               AS calls,
    count(*) FILTER (is_error)             AS failed,
    quantile_disc(client_ms, 0.5)          AS p50_ms,
    quantile_disc(client_ms, 0.95)         AS p95_ms,
    count(DISTINCT hash(unit_id))          AS units      -- conversations, else traces
FROM calls
GROUP BY
    cohort,
    day,
    boundary_id
ORDER BY
    cohort,
    day,
    boundary_id
