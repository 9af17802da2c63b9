-- How many calls of each handoff were given up, and how long might they have waited?
--
-- unit: calls
-- better: lower
-- grain: cohort, boundary_id

SELECT
    boundaries.cohort,
    boundaries.boundary_id,
    told.given_up,                          -- no answer came
    told.told_timeout_ms                    -- the longest that a span tells: a shorter one cut only some of the calls
FROM (
    SELECT
        boundary_no,
        count(*) FILTER (error_class IN ('timeout', 'cancelled', 'incomplete'))  AS given_up,
        max(timeout_ms)                                                         AS told_timeout_ms
    FROM calls
    -- What was injected is no habit of the callee.
    WHERE fault_id IS NULL
    GROUP BY boundary_no
) AS told
INNER JOIN boundaries
    ON boundaries.boundary_no = told.boundary_no
ORDER BY
    boundaries.cohort,
    boundaries.boundary_id
