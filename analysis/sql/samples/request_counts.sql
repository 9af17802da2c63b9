-- How many requests are there to divide by?
--
-- unit: requests
-- better: neither
-- grain: cohort, bucket

SELECT
    counted.cohort,
    counted.bucket,                                    -- hash of the unit, for the bootstrap
    counted.requests,
    -- conversations, else traces; said once a cohort
    CASE WHEN counted.bucket = min(counted.bucket) OVER (PARTITION BY counted.cohort) THEN whole.units ELSE 0 END  AS units,
    counted.weighed,                                   -- requests these stand for, where traces were sampled
    counted.failed,
    counted.duration_ms
FROM (
    SELECT
        cohort,
        bucket,
        count(*)                        AS requests,
        sum(weight)                     AS weighed,
        count(*) FILTER (is_failed)     AS failed,
        sum(duration_ms * weight)       AS duration_ms
    FROM requests
    GROUP BY
        cohort,
        bucket
) AS counted
INNER JOIN (
    SELECT
        cohort,
        count_units(unit_no)  AS units
    FROM requests
    GROUP BY cohort
) AS whole
    ON whole.cohort = counted.cohort
ORDER BY
    counted.cohort,
    counted.bucket
