-- What does every call tell of time-outs and methods?
--
-- unit: ms
-- better: lower
-- grain: call_id

SELECT
    call_id,
    boundary_id,
    boundary_no,                                                 -- tells cohort and boundary
    cohort,
    unit_id,                                                     -- conversation, else trace: what is independent
    unit_no,                                                     -- the same as a number
    bucket,                                                      -- hash of the unit, 0 to 99
    client_ms,                                                   -- what the caller waited
    timeout_ms,                                                  -- what a span tells that its caller waits at most
    -- 1 or 0 by the method, RFC 9110, 9.2.2; null where none is told
    (http_method IN ('GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'))::DOUBLE  AS is_idempotent,
    weight                                                       -- calls this one stands for, where traces were sampled
FROM calls
