-- How long did each call wait, was it answered well, and how long might it have waited?
--
-- unit: ms
-- better: lower
-- grain: call_id

SELECT
    call_id,
    boundary_id,
    boundary_no,                            -- tells cohort and boundary
    cohort,
    unit_id,                                -- conversation, else trace: what is independent
    unit_no,                                -- the same as a number
    bucket,                                 -- hash of the unit, 0 to 99
    started_at,
    client_ms,                              -- what the caller waited
    is_error,
    coalesce(error_class IN ('timeout', 'cancelled', 'incomplete'), false)  AS is_given_up,  -- no answer came
    timeout_ms,                             -- what the caller waits at most, where a span tells it
    weight                                  -- calls this one stands for, where traces were sampled
FROM calls
-- What was injected is no habit of the callee.
WHERE fault_id IS NULL
