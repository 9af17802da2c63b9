-- Which calls of each handoff were the slowest?
--
-- unit: ms
-- better: lower
-- grain: call_id

SELECT
    cohort,
    boundary_id,
    call_id,
    trace_id,
    span_id,
    client_ms,                              -- what the caller waited
    server_ms,                              -- what the callee worked, where it is seen
    attempts,
    is_error,
    started_at
FROM calls
-- Twenty are more than anybody opens.
QUALIFY row_number() OVER (
    PARTITION BY cohort, boundary_id
    ORDER BY client_ms DESC, call_id
) <= 20
ORDER BY
    cohort,
    boundary_id,
    client_ms DESC,
    call_id
