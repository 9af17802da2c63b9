-- What kinds of handoff did requests wait for: models, tools, services, stores, or none?
--
-- unit: ms
-- better: lower
-- grain: cohort, kind, bucket

SELECT
    critical_path.cohort,
    coalesce(critical_path.kind, 'none')                      AS kind,      -- none: the entry's own work
    coalesce(critical_path.kind, 'none') = 'model'            AS is_model,
    critical_path.bucket,                                                   -- hash of the unit, for the bootstrap
    sum(critical_path.weight * critical_path.self_ns) / 1e6   AS self_ms    -- these add up to the requests' durations
FROM critical_path
-- What others waited for is in their requests.
ANTI JOIN joins
    ON joins.node_id = critical_path.request_id
GROUP BY
    critical_path.cohort,
    critical_path.kind,
    critical_path.bucket
ORDER BY
    critical_path.cohort,
    kind,
    critical_path.bucket
