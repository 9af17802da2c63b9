-- How many calls are allowed at least the time that their caller is allowed?
--
-- unit: calls
-- better: lower
-- grain: cohort, boundary_id, bucket

SELECT
    boundaries.cohort,
    boundaries.boundary_id,
    told.bucket,               -- hash of the unit, for the interval
    told.units,                -- conversations, else traces; a unit has one bucket
    told.calls,                -- of which both time-outs are told
    told.weighed_calls,        -- calls these stand for, where traces were sampled
    told.at_odds,
    told.weighed_at_odds
FROM (
    SELECT
        inner_call.boundary_no,
        inner_call.bucket,
        count(DISTINCT inner_call.unit_no)                AS units,
        count(*)                                          AS calls,
        sum(inner_call.weight)                            AS weighed_calls,
        count(*) FILTER (inner_call.timeout_ms * greatest(inner_call.attempts, 1) >= outer_call.timeout_ms)  AS at_odds,
        coalesce(sum(inner_call.weight) FILTER (
            inner_call.timeout_ms * greatest(inner_call.attempts, 1) >= outer_call.timeout_ms
        ), 0)                                             AS weighed_at_odds
    FROM calls AS inner_call
    INNER JOIN calls AS outer_call
        ON outer_call.call_id = inner_call.outer_call_id
    WHERE inner_call.timeout_ms IS NOT NULL
        AND outer_call.timeout_ms IS NOT NULL
    GROUP BY
        inner_call.boundary_no,
        inner_call.bucket
) AS told
INNER JOIN boundaries
    ON boundaries.boundary_no = told.boundary_no
ORDER BY
    boundaries.cohort,
    boundaries.boundary_id,
    told.bucket
