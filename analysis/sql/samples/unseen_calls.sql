-- What share of a handoff's calls was seen by one side only, or names no resource?
--
-- unit: calls
-- better: lower
-- grain: cohort, boundary_id, blind_spot

WITH counted AS (
    SELECT
        boundary_no,
        count(*)::DOUBLE                                    AS calls,
        count(*) FILTER (observed_side = 'client')::DOUBLE  AS unanswered,
        count(*) FILTER (observed_side = 'server')::DOUBLE  AS unasked
    FROM calls
    GROUP BY boundary_no
)

SELECT
    cohort,
    boundary_id,
    blind_spot,
    found,             -- not seen
    total              -- of how many
FROM (
    SELECT
        boundaries.cohort,
        boundaries.boundary_id,
        counted.calls  AS total,
        unnest([
            {'blind_spot': 'far_side', 'is_asked': boundaries.kind IN ('service', 'mcp'), 'found': counted.unanswered},
            {'blind_spot': 'near_side', 'is_asked': boundaries.kind IN ('service', 'mcp'), 'found': counted.unasked},
            {
                'blind_spot': 'unnamed_resource',
                'is_asked': true,
                'found': CASE WHEN contains(boundaries.callee, '?') THEN counted.calls ELSE 0 END
            }
        ], recursive := true)
    FROM counted
    INNER JOIN boundaries
        ON boundaries.boundary_no = counted.boundary_no
)
WHERE is_asked
ORDER BY
    cohort,
    boundary_id,
    blind_spot
