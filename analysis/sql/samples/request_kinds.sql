-- What did each request wait for, by kind of handoff?
--
-- unit: ms
-- better: lower
-- grain: request_id, kind

WITH

-- Swapping what requests waited for needs them one by one; of many, those whose trace has a small number, which is a hash.
chosen AS (
    SELECT request_id
    FROM requests
    QUALIFY row_number() OVER (PARTITION BY cohort ORDER BY trace_no, request_id) <= 200000
)

SELECT
    critical_path.request_id,
    coalesce(critical_path.kind, 'none')  AS kind,      -- none: the entry's own work
    sum(critical_path.self_ns) / 1e6      AS self_ms    -- these add up to the request's duration
FROM critical_path
SEMI JOIN chosen
    ON chosen.request_id = critical_path.request_id
GROUP BY
    critical_path.request_id,
    coalesce(critical_path.kind, 'none')
