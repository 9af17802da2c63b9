-- What did each request wait for, by kind of handoff?
--
-- unit: ms
-- better: lower
-- grain: request_id, kind

WITH

-- Swapping what requests waited for needs them one by one; of many, as many are taken by the hash of their trace.
chosen AS (
    SELECT *
    FROM requests
    QUALIFY row_number() OVER (PARTITION BY cohort ORDER BY md5(trace_id), request_id) <= 200000
)

SELECT
    chosen.request_id,
    chosen.cohort,
    chosen.operation,
    chosen.unit_id,                                             -- conversation, else trace: what is independent
    chosen.conversation_id,
    chosen.started_at,
    chosen.weight,
    coalesce(critical_path.kind, 'none')      AS kind,          -- none: the entry's own work
    sum(critical_path.self_ns) / 1e6          AS self_ms        -- these add up to the request's duration
FROM chosen
INNER JOIN critical_path
    ON critical_path.request_id = chosen.request_id
GROUP BY
    chosen.request_id,
    chosen.cohort,
    chosen.operation,
    chosen.unit_id,
    chosen.conversation_id,
    chosen.started_at,
    chosen.weight,
    coalesce(critical_path.kind, 'none')
ORDER BY
    chosen.request_id,
    coalesce(critical_path.kind, 'none')
