-- How long did every call take, did it fail, and which independent unit was it part of?
--
-- unit: ms
-- better: lower
-- grain: call_id

SELECT
    cohort,
    boundary_id,
    unit_id,               -- conversation, else trace
    start_ns,
    client_ms,             -- as the caller waited
    is_error,
    weight                 -- calls this one stands for
FROM calls
ORDER BY cohort, boundary_id, start_ns, call_id
