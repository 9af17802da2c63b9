-- Which time-out do spans tell of each handoff?
--
-- unit: ms
-- better: neither
-- grain: cohort, boundary_id

SELECT
    boundaries.cohort,
    boundaries.boundary_id,
    told.told_timeout_ms                    -- the longest: a shorter one cut only some of the calls
FROM (
    SELECT
        boundary_no,
        max(timeout_ms)  AS told_timeout_ms
    FROM calls
    WHERE timeout_ms IS NOT NULL
        -- What was injected is no habit of the callee.
        AND fault_id IS NULL
    GROUP BY boundary_no
) AS told
INNER JOIN boundaries
    ON boundaries.boundary_no = told.boundary_no
ORDER BY
    boundaries.cohort,
    boundaries.boundary_id
