-- Which handoffs are there, and how often do they fail?
--
-- unit: calls
-- better: lower
-- grain: cohort, boundary_id

SELECT
    cohort,
    boundary_id,
    any_value(caller) || ' → ' || any_value(callee)  AS boundary,       -- caller and callee in words
    any_value(caller)                                AS caller,
    any_value(kind)                                  AS kind,  -- model, tool, mcp, agent, service, database ...
    any_value(callee)                                AS callee,
    count(*)                                         AS calls,          -- handoffs seen
    count(*) FILTER (is_error)                       AS failed,         -- calls that ended in an error
    quantile_disc(handoff_ms, 0.95)                  AS handoff_p95_ms,  -- of the way alone, where both sides are seen
    sum(attempts)::BIGINT                            AS attempts,       -- tries inside the calls
    sum(input_tokens)::BIGINT                        AS input_tokens,
    sum(output_tokens)::BIGINT                       AS output_tokens,
    sum(cost_usd)                                    AS cost_usd,
    min(started_at)                                  AS first_at,
    max(started_at)                                  AS last_at
FROM calls
GROUP BY
    cohort,
    boundary_id
ORDER BY
    cohort,
    calls DESC,
    boundary_id
