-- How long did each request wait for each handoff?
--
-- unit: ms
-- better: lower
-- grain: request_id, boundary_id

WITH spent AS (
    SELECT
        request_id,
        boundary_id,
        any_value(kind)  AS kind,
        sum(self_ns)     AS self_ns
    FROM critical_path
    GROUP BY
        request_id,
        boundary_id
)

SELECT
    requests.request_id,
    requests.cohort,
    requests.operation,
    requests.unit_no     AS unit_id,                                -- number of the conversation, else trace
    requests.day,
    requests.duration_ms,                                           -- of the whole request
    requests.is_failed,
    spent.boundary_id,                                              -- null: the entry's own work, outside any handoff
    spent.kind,
    spent.self_ns / 1e6  AS self_ms                                 -- along the critical path; adds up to duration_ms
FROM spent
INNER JOIN requests
    ON requests.request_id = spent.request_id
ORDER BY
    requests.request_id,
    spent.boundary_id
