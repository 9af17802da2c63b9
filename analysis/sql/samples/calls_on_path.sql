-- How much of each call lies on the critical path of its request?
--
-- unit: ratio
-- better: lower
-- grain: request_id, boundary_id

WITH spent AS (
    SELECT
        request_id,
        call_id,
        sum(self_ns) / 1e6  AS self_ms
    FROM critical_path
    WHERE call_id IS NOT NULL
    GROUP BY
        request_id,
        call_id
)

SELECT
    spent.request_id,
    requests.cohort,
    requests.weight,
    calls.boundary_id,
    calls.kind,
    -- 1 for one call that is wholly on the path; of what it waited for itself, nothing
    sum(least(spent.self_ms / calls.client_ms, 1.0))  AS calls_on_path
FROM spent
INNER JOIN calls
    ON calls.call_id = spent.call_id
INNER JOIN requests
    ON requests.request_id = spent.request_id
WHERE calls.client_ms > 0
GROUP BY
    spent.request_id,
    requests.cohort,
    requests.weight,
    calls.boundary_id,
    calls.kind
ORDER BY
    spent.request_id,
    calls.boundary_id
