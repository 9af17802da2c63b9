-- How did each handoff do from day to day?
--
-- unit: ms
-- better: lower
-- grain: cohort, day, boundary_id

SELECT
    boundaries.cohort,
    counted.day,
    boundaries.boundary_id,
    counted.calls,
    counted.failed,
    waits.quantiles_ms[1]  AS p50_ms,
    waits.quantiles_ms[2]  AS p95_ms,
    counted.units                          -- conversations, else traces
FROM (
    SELECT
        day,
        boundary_no,
        count(*)                    AS calls,
        count(*) FILTER (is_error)  AS failed,
        count_daily_units(unit_no)  AS units
    FROM calls
    GROUP BY
        day,
        boundary_no
) AS counted
-- Apart: together, one thread would put both of all groups together.
INNER JOIN (
    SELECT
        day,
        boundary_no,
        quantile_disc(client_ms, [0.5, 0.95])  AS quantiles_ms
    FROM calls
    GROUP BY
        day,
        boundary_no
) AS waits
    ON waits.day = counted.day
    AND waits.boundary_no = counted.boundary_no
INNER JOIN boundaries
    ON boundaries.boundary_no = counted.boundary_no
ORDER BY
    boundaries.cohort,
    counted.day,
    boundaries.boundary_id
