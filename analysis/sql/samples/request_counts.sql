-- How many requests are there to divide by?
--
-- unit: requests
-- better: neither
-- grain: cohort, bucket

SELECT
    cohort,
    bucket,                                            -- hash of the unit, for the bootstrap
    count(*)                                    AS requests,
    count(DISTINCT unit_no)                     AS units,          -- conversations, else traces; a unit has one bucket
    sum(weight)                                 AS weighed,        -- requests these stand for, where traces were sampled
    count(*) FILTER (is_failed)                 AS failed,
    sum(duration_ms * weight)                   AS duration_ms
FROM requests
GROUP BY
    cohort,
    bucket
ORDER BY
    cohort,
    bucket
