-- How long did each request wait for each handoff?
--
-- unit: ms
-- better: lower
-- grain: request_id, boundary_id

SELECT
    requests.request_id,
    requests.cohort,
    requests.operation,
    requests.unit_id,
    requests.day,
    requests.duration_ms,                                           -- of the whole request
    requests.is_failed,
    critical_path.boundary_id,                                      -- null: the entry's own work, outside any handoff
    any_value(critical_path.kind)          AS kind,
    sum(critical_path.self_ns) / 1e6       AS self_ms               -- along the critical path; adds up to duration_ms
FROM requests
INNER JOIN critical_path
    ON critical_path.request_id = requests.request_id
GROUP BY
    requests.request_id,
    requests.cohort,
    requests.operation,
    requests.unit_id,
    requests.day,
    requests.duration_ms,
    requests.is_failed,
    critical_path.boundary_id
ORDER BY
    requests.request_id,
    critical_path.boundary_id
