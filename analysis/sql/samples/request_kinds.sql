-- What did each request wait for, by kind of handoff?
--
-- unit: ms
-- better: lower
-- grain: request_id, kind

WITH

-- Swapping what requests waited for needs them one by one; of many, about 100,000 a cohort, by the number of their
-- trace, which is a hash.
chosen AS (
    SELECT requests.request_id
    FROM requests
    INNER JOIN (
        SELECT
            cohort,
            count(*)  AS requests
        FROM requests
        GROUP BY cohort
    ) AS sizes
        ON sizes.cohort = requests.cohort
    WHERE requests.trace_no % 1000000 * sizes.requests < 100000::BIGINT * 1000000
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
