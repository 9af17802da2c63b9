-- What kinds of handoff did requests wait for: models, tools, services, stores, or none?
--
-- unit: ms
-- better: lower
-- grain: cohort, kind, bucket

WITH

known AS MATERIALIZED (
    SELECT
        request_id,
        cohort,
        unit_no,
        bucket,
        weight
    FROM requests
),

spent AS (
    SELECT
        request_id,
        coalesce(kind, 'none')  AS kind,
        sum(self_ns)            AS self_ns
    FROM critical_path
    GROUP BY
        request_id,
        coalesce(kind, 'none')
)

SELECT
    requests.cohort,
    spent.kind,                                                            -- none: the entry's own work
    spent.kind = 'model'                                    AS is_model,
    requests.bucket,                                                       -- hash of the unit, for the bootstrap
    count(*)                                                AS requests,
    count(DISTINCT requests.unit_no)                        AS units,
    sum(requests.weight * spent.self_ns) / 1e6              AS self_ms     -- these add up to the requests' durations
FROM spent
INNER JOIN known AS requests
    ON requests.request_id = spent.request_id
GROUP BY
    requests.cohort,
    spent.kind,
    requests.bucket
ORDER BY
    requests.cohort,
    spent.kind,
    requests.bucket
