-- Which calls of each handoff were the slowest?
--
-- unit: ms
-- better: lower
-- grain: call_id

WITH

-- what the slowest of a boundary at least took; others of just that time are told apart below
limits AS (
    SELECT
        boundary_no,
        -- Twenty are more than anybody opens.
        list_min(max(client_ms, 20))  AS least_ms
    FROM calls
    GROUP BY boundary_no
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
    ON limits.boundary_no = calls.boundary_no
    AND limits.least_ms <= calls.client_ms
QUALIFY row_number() OVER (
    PARTITION BY calls.boundary_no
    ORDER BY calls.client_ms DESC, calls.call_id
) <= 20
ORDER BY
    calls.cohort,
    calls.boundary_id,
    calls.client_ms DESC,
    calls.call_id
