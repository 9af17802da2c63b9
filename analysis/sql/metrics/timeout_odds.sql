-- Where does a callee allow its own calls more time than its caller allows it?
--
-- unit: calls
-- better: lower
-- grain: cohort, boundary_id, inner_boundary_id, timeout_ms, inner_timeout_ms

SELECT
    outer_call.cohort,
    outer_call.boundary_id,
    inner_call.boundary_id                                                  AS inner_boundary_id,
    any_value(outer_call.caller) || ' → ' || any_value(outer_call.callee)   AS boundary,
    any_value(inner_call.caller) || ' → ' || any_value(inner_call.callee)   AS inner_boundary,
    outer_call.timeout_ms,                                                  -- what the caller waits at most
    inner_call.timeout_ms                                                   AS inner_timeout_ms,
    max(inner_call.attempts)                                                AS most_attempts,
    count(*)                                                                AS calls,
    count(*) FILTER (outer_call.error_class = 'timeout' OR outer_call.abandoned_ms > 0)  AS given_up,  -- it came to that
    min_by(outer_call.trace_id, (outer_call.started_at, outer_call.call_id))  AS example_trace_id
FROM calls AS inner_call
INNER JOIN calls AS outer_call
    ON outer_call.call_id = inner_call.outer_call_id
WHERE inner_call.timeout_ms IS NOT NULL
    AND outer_call.timeout_ms IS NOT NULL
    AND inner_call.timeout_ms * greatest(inner_call.attempts, 1) >= outer_call.timeout_ms
GROUP BY
    outer_call.cohort,
    outer_call.boundary_id,
    inner_call.boundary_id,
    outer_call.timeout_ms,
    inner_call.timeout_ms
ORDER BY
    outer_call.cohort,
    given_up DESC,
    calls DESC,
    outer_call.boundary_id,
    inner_call.boundary_id,
    outer_call.timeout_ms,
    inner_call.timeout_ms
