-- How long did each call take?
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
    trace_id,
    day,
    started_at,
    start_ns,
    client_ms,                              -- what the caller waited
    handoff_ms,                             -- caller's wait less the callee's work; null where one side is unseen
    queue_ms,                               -- from sent to taken
    first_chunk_ms,                         -- until a stream began, where it is told
    callee,
    owner_agent,
    service_version,                        -- of the caller's service
    pilot_variant,
    environment,
    tenant,                                 -- whose call it is, as it or its request tells
    is_error,
    weight                                  -- calls this one stands for, where traces were sampled
FROM calls
