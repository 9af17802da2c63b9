-- How long did each call wait, and was it answered well?
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
    is_error IS NOT TRUE                    -- an answer came, and no error
        AND (error_class IN ('timeout', 'cancelled', 'incomplete')) IS NOT TRUE  AS is_success,
    (error_class IN ('timeout', 'cancelled', 'incomplete')) IS TRUE              AS is_given_up,  -- no answer came
    weight                                  -- calls this one stands for, where traces were sampled
FROM calls
-- What was injected is no habit of the callee.
WHERE fault_id IS NULL
