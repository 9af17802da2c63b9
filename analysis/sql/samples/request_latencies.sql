-- How long did each request take?
--
-- unit: ms
-- better: lower
-- grain: request_id

SELECT
    request_id,
    cohort,
    operation,
    unit_no  AS unit_id,                    -- number of the conversation, else trace: what is independent
    unit_no,                                -- the same, as `latencies` has it
    bucket,                                 -- hash of the unit, 0 to 99
    trace_id,
    trace_no,                               -- the same as a number
    day,
    started_at,
    duration_ms,                            -- from the user's side
    is_failed,
    conversation_id,
    turn_index,
    tenant,
    weight                                  -- requests this one stands for, where traces were sampled
FROM requests
