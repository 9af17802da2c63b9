-- Which operations are called over HTTP, by whom, and what do they answer?
--
-- unit: calls
-- better: neither
-- grain: boundary_id, http_method, http_status, api_version, callee_version

SELECT
    boundary_id,
    any_value(caller)     AS caller,
    any_value(callee)     AS callee,
    http_method,                              -- null where no span tells it
    http_status,                              -- null where no answer is told
    api_version,                              -- that the caller asked for, by a header or an attribute
    callee_version,                           -- of the service that answered
    count(*)              AS calls,
    min_by(trace_id, (started_at, call_id))  AS example_trace_id
FROM calls
WHERE starts_with(callee, 'http:')
GROUP BY
    boundary_id,
    http_method,
    http_status,
    api_version,
    callee_version
ORDER BY
    boundary_id,
    http_method,
    http_status,
    api_version,
    callee_version
