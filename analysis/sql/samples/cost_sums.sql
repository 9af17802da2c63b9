-- What did requests cost, day by day?
--
-- unit: usd
-- better: lower
-- grain: cohort, day, bucket

WITH

asked AS (
    SELECT
        trace_no,
        any_value(cohort)                       AS cohort,
        min(started_at)                         AS started_at,
        min(bucket)                             AS bucket,
        min(unit_no)                            AS unit_no,
        count(*)                                AS requests,
        sum(TRY_CAST(round(1e12 * aggregated_cost_usd) AS HUGEINT))  AS aggregated
    FROM requests
    GROUP BY trace_no
),

-- Requests of one trace share what it cost: its calls, else what an agent sums up. Others name no cost.
-- Sums of whole numbers, here of 1e-12 USD, do not depend on the order in which threads add them; 1e26 USD
-- and more are no cost.
priced AS (
    SELECT
        asked.*,
        coalesce(spent.cost, asked.aggregated)                             AS cost,
        spent.cost IS NULL                                                 AS is_aggregated
    FROM asked
    LEFT JOIN (
        SELECT
            trace_no,
            sum(TRY_CAST(round(1e12 * cost_usd) AS HUGEINT))  AS cost
        FROM trace_usage
        WHERE priced_calls > 0
        GROUP BY trace_no
    ) AS spent
        ON spent.trace_no = asked.trace_no
    WHERE spent.cost IS NOT NULL
        OR asked.aggregated IS NOT NULL
)

SELECT
    sums.cohort,
    sums.day,                                                              -- UTC
    sums.started_at,                                                       -- the first of them
    sums.bucket,                                                           -- hash of the unit, 0 to 99
    sums.requests,                                                         -- of traces that name a cost
    sums.cost_usd,
    sums.aggregated,                                                       -- traces of which only an agent's sum is told
    -- said once a cohort: a conversation may have several days
    CASE
        WHEN row_number() OVER (PARTITION BY sums.cohort ORDER BY sums.day, sums.bucket) = 1 THEN whole.units
        ELSE 0
    END  AS units
FROM (
    SELECT
        cohort,
        started_at::DATE                          AS day,
        bucket,
        min(started_at)                           AS started_at,
        sum(requests)::BIGINT                     AS requests,
        sum(cost) / 1e12                          AS cost_usd,
        count(*) FILTER (is_aggregated)           AS aggregated
    FROM priced
    GROUP BY
        cohort,
        day,
        bucket
) AS sums
INNER JOIN (
    SELECT
        cohort,
        count_units(unit_no)  AS units
    FROM priced
    GROUP BY cohort
) AS whole
    ON whole.cohort = sums.cohort
ORDER BY
    sums.cohort,
    sums.day,
    sums.bucket
