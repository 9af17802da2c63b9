-- Which calls did each request wait for, and for how long?
--
-- unit: ms
-- better: lower
-- grain: call_id

SELECT
    calls.request_id,
    calls.call_id,
    calls.cohort,
    calls.boundary_id,
    calls.start_ns,
    calls.end_ns,
    calls.path_ns / 1e6  AS path_ms         -- on the critical path, all below it included
FROM calls
SEMI JOIN requests
    ON requests.request_id = calls.request_id
WHERE calls.path_ns IS NOT NULL
ORDER BY
    calls.request_id,
    calls.start_ns,
    calls.end_ns DESC,
    calls.call_id
