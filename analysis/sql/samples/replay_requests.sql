-- Which requests are replayed, and how long did they take?
--
-- unit: ms
-- better: lower
-- grain: request_id

SELECT
    request_id,
    cohort,
    unit_id,                                -- conversation, else trace: what is independent
    duration_ms,
    weight                                  -- requests this one stands for, where traces were sampled
FROM requests
-- More requests than this say nothing that these do not; which ones is a matter of the trace's hash.
QUALIFY row_number() OVER (ORDER BY md5(trace_id), request_id) <= 200000
ORDER BY request_id
