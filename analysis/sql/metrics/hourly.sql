-- How did each handoff do from hour to hour?
--
-- unit: ms
-- better: lower
-- grain: cohort, boundary_id, hour_at

SELECT
    boundaries.cohort,
    boundaries.boundary_id,
    make_timestamp(counted.hour_no::BIGINT * 3600000000)  AS hour_at,
    counted.calls,
    counted.failed,
    counted.quantiles_ms[1]                               AS p50_ms,
    counted.quantiles_ms[2]                               AS p95_ms
FROM (
    SELECT
        boundary_no,
        (start_ns // 3600000000000)::INTEGER   AS hour_no,
        count(*)                               AS calls,
        count(*) FILTER (is_error)             AS failed,
        quantile_disc(client_ms, [0.5, 0.95])  AS quantiles_ms
    FROM calls
    GROUP BY
        boundary_no,
        hour_no
) AS counted
INNER JOIN boundaries
    ON boundaries.boundary_no = counted.boundary_no
ORDER BY
    boundaries.cohort,
    boundaries.boundary_id,
    hour_at
