-- How long did each call take?
--
-- unit: ms
-- better: lower
-- grain: call_id

SELECT
    call_id,
    boundary_id,
    cohort,
    unit_id,                                -- conversation, else trace: what is independent
    trace_id,
    day,
    started_at,
    client_ms,                              -- what the caller waited
    handoff_ms,                             -- caller's wait less the callee's work; null where one side is unseen
    queue_ms,                               -- from sent to taken
    is_error,
    weight                                  -- calls this one stands for, where traces were sampled
FROM calls
ORDER BY call_id
