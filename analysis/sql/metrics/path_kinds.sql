-- What kinds of handoff did requests wait for: models, tools, services, stores, or none?
--
-- unit: ms
-- better: lower
-- grain: cohort, kind, bucket

SELECT
    requests.cohort,
    coalesce(critical_path.kind, 'none')                     AS kind,      -- none: the entry's own work
    coalesce(critical_path.kind, 'none') = 'model'           AS is_model,
    (md5_number_lower(requests.unit_id) % 100)::INTEGER      AS bucket,    -- hash of the unit, for the bootstrap
    count(DISTINCT requests.request_id)                      AS requests,
    count(DISTINCT requests.unit_id)                         AS units,
    sum(requests.weight * critical_path.self_ns) / 1e6       AS self_ms    -- these add up to the requests' durations
FROM critical_path
INNER JOIN requests
    ON requests.request_id = critical_path.request_id
GROUP BY ALL
ORDER BY
    requests.cohort,
    kind,
    bucket
