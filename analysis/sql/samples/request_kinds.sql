-- What did each request wait for, by kind of handoff?
--
-- unit: ms
-- better: lower
-- grain: request_id, kind

WITH

-- Swapping what requests waited for needs them one by one; of many, those whose trace has a small number, which is a hash.
chosen AS (
    SELECT
        request_id,
        cohort,
        operation,
        bucket,
        started_at,
        weight
    FROM requests
    QUALIFY row_number() OVER (PARTITION BY cohort ORDER BY trace_no, request_id) <= 200000
),

waits AS (
    SELECT
        critical_path.request_id,
        coalesce(critical_path.kind, 'none')  AS kind,
        sum(critical_path.self_ns) / 1e6      AS self_ms
    FROM critical_path
    SEMI JOIN chosen
        ON chosen.request_id = critical_path.request_id
    GROUP BY
        critical_path.request_id,
        coalesce(critical_path.kind, 'none')
)

SELECT
    chosen.request_id,
    chosen.cohort,
    chosen.operation,
    chosen.bucket,                     -- of the conversation, else the trace: what is independent, in a hundred parts
    chosen.started_at,
    chosen.weight,
    waits.kind,                        -- none: the entry's own work
    waits.self_ms                      -- these add up to the request's duration
FROM waits
INNER JOIN chosen
    ON chosen.request_id = waits.request_id
ORDER BY
    chosen.request_id,
    waits.kind
