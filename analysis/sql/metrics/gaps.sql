-- What can the data not say, and what does that blind?
--
-- unit: spans or calls
-- better: lower
-- grain: cohort, gap, service, boundary_id

SELECT
    cohort,
    gap,
    service,
    boundary_id,             -- where the gap is one boundary's
    found,                   -- spans or calls with the gap
    total,                   -- of how many
    found / total  AS share,
    blinds,                  -- what cannot be said because of it
    example_id               -- a node that shows it
FROM gaps
ORDER BY
    cohort,
    found DESC,
    gap,
    service,
    boundary_id
