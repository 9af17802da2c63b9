-- How long did every user request take, did it fail, and which independent unit was it part of?
--
-- unit: ms
-- better: lower
-- grain: request_id

SELECT
    cohort,
    request_id,
    unit_id,               -- conversation, else trace
    operation,
    service_version,
    start_ns,
    duration_ms,
    is_failed,
    weight,                -- requests this one stands for
    conversation_id IS NOT NULL  AS is_conversation
FROM requests
ORDER BY cohort, start_ns, request_id
