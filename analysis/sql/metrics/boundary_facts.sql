-- What is known of every boundary: who calls whom, how often, when, and how long the handoff takes?
--
-- unit: calls
-- better: lower
-- grain: cohort, boundary_id

SELECT
    cohort,
    boundary_id,
    caller || ' → ' || callee                         AS boundary,
    caller,
    kind,
    callee,
    min(callee_service)                               AS callee_service,  -- null where nobody named it
    count(*)                                          AS calls,
    count(DISTINCT trace_no)                          AS traces,
    count(DISTINCT unit_id)                           AS units,
    count(*) FILTER (WHERE is_error)                  AS failed,
    quantile_disc(handoff_ms, 0.95)                   AS handoff_p95_ms,  -- client minus server time
    min(started_at)                                   AS first_at,
    max(started_at)                                   AS last_at
FROM calls
GROUP BY cohort, boundary_id, caller, kind, callee
ORDER BY cohort, caller, callee, kind
