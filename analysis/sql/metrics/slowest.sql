-- Which calls of each handoff were the slowest?
--
-- unit: ms
-- better: lower
-- grain: call_id

WITH

-- what the slowest of a boundary at least took; others of just that time are told apart below
limits AS (
    SELECT
        cohort,
        boundary_id,
        -- Twenty are more than anybody opens.
        list_min(max(client_ms, 20))  AS least_ms
    FROM calls
    GROUP BY
        cohort,
        boundary_id
)

SELECT
    calls.cohort,
    calls.boundary_id,
    calls.call_id,
    calls.trace_id,
    calls.span_id,
    calls.client_ms,                        -- what the caller waited
    calls.server_ms,                        -- what the callee worked, where it is seen
    calls.attempts,
    calls.is_error,
    calls.started_at
FROM calls
INNER JOIN limits
    ON limits.cohort = calls.cohort
    AND limits.boundary_id = calls.boundary_id
    AND limits.least_ms <= calls.client_ms
QUALIFY row_number() OVER (
    PARTITION BY calls.cohort, calls.boundary_id
    ORDER BY calls.client_ms DESC, calls.call_id
) <= 20
ORDER BY
    calls.cohort,
    calls.boundary_id,
    calls.client_ms DESC,
    calls.call_id
