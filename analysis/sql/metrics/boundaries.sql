-- Which handoffs are there, and how often do they fail?
--
-- unit: calls
-- better: lower
-- grain: cohort, boundary_id

SELECT
    boundaries.cohort,
    boundaries.boundary_id,
    boundaries.caller || ' → ' || boundaries.callee  AS boundary,       -- caller and callee in words
    boundaries.caller,
    boundaries.kind,                                       -- model, tool, mcp, agent, service, database ...
    boundaries.callee,
    counted.calls,                                         -- handoffs seen
    counted.failed,                                        -- calls that ended in an error
    counted.handoff_p95_ms,                                -- of the way alone, where both sides are seen
    counted.attempts,                                      -- tries inside the calls
    counted.input_tokens,
    counted.output_tokens,
    counted.cost_usd,
    counted.first_at,
    counted.last_at
FROM (
    SELECT
        boundary_no,
        count(*)                         AS calls,
        count(*) FILTER (is_error)       AS failed,
        quantile_disc(handoff_ms, 0.95)  AS handoff_p95_ms,
        sum(attempts)::BIGINT            AS attempts,
        sum(input_tokens)::BIGINT        AS input_tokens,
        sum(output_tokens)::BIGINT       AS output_tokens,
        sum(cost_usd)                    AS cost_usd,
        min(started_at)                  AS first_at,
        max(started_at)                  AS last_at
    FROM calls
    GROUP BY boundary_no
) AS counted
INNER JOIN boundaries
    ON boundaries.boundary_no = counted.boundary_no
ORDER BY
    boundaries.cohort,
    counted.calls DESC,
    boundaries.boundary_id
