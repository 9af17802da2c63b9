-- Which failures did no user see, and what did they cost in requests that went well?
--
-- unit: failures
-- better: lower
-- grain: cohort, boundary_id, error_class, outcome, bucket

SELECT
    requests.cohort,
    failures.boundary_id,                                              -- null: a failure of no handoff
    failures.error_class,
    failures.outcome,                                                  -- how it was made good, or not
    requests.bucket,    -- hash of the unit, for the bootstrap
    count(*)                                             AS failures,
    count(DISTINCT requests.request_id)                  AS requests,
    count(DISTINCT requests.unit_id)                     AS units,
    coalesce(sum(
        requests.weight * (critical_path.until_ns - critical_path.from_ns)
    ), 0) / 1e6                                          AS path_ms,   -- that users waited for what failed
    coalesce(sum(requests.weight * calls.client_ms), 0)  AS client_ms, -- that callers waited for it
    coalesce(sum(requests.weight * calls.cost_usd), 0)   AS cost_usd,
    min(requests.trace_id)                               AS example_trace_id
FROM failures
INNER JOIN requests
    ON requests.request_id = failures.request_id
LEFT JOIN calls
    ON calls.call_id = failures.failure_id
LEFT JOIN critical_path
    ON critical_path.node_id = failures.failure_id
WHERE NOT requests.is_failed
    -- A failure that went on is told by where it ended.
    AND failures.parent_failure_id IS NULL
GROUP BY
    requests.cohort,
    failures.boundary_id,
    failures.error_class,
    failures.outcome,
    requests.bucket
ORDER BY
    requests.cohort,
    failures.boundary_id,
    failures.error_class,
    failures.outcome,
    requests.bucket
