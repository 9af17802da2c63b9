-- What became of the failures of each handoff?
--
-- unit: failures
-- better: lower
-- grain: cohort, boundary, outcome

SELECT
    failures.cohort,
    coalesce(calls.caller || ' → ' || calls.callee, 'no handoff')  AS boundary,
    failures.outcome,  -- propagated, root, retried_ok, fallback_ok, handled, degraded, absorbed_in_call, async
    count(*)                                                       AS failures
FROM failures
LEFT JOIN calls
    ON calls.call_id = failures.call_id
GROUP BY ALL
ORDER BY
    failures.cohort,
    failures DESC,
    boundary,
    failures.outcome
