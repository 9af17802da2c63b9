-- What did requests cost, day by day?
--
-- unit: usd
-- better: lower
-- grain: cohort, day, bucket

WITH

-- Sums of whole numbers, here of 1e-12 USD, do not depend on the order in which threads add them; 1e26 USD
-- and more are no cost.
spent AS (
    SELECT
        trace_no,
        sum(TRY_CAST(round(1e12 * cost_usd) AS HUGEINT))  AS cost
    FROM trace_usage
    WHERE priced_calls > 0
    GROUP BY trace_no
),

summed_up AS (
    SELECT
        trace_no,
        sum(TRY_CAST(round(1e12 * aggregated_cost_usd) AS HUGEINT))  AS cost
    FROM requests
    WHERE aggregated_cost_usd IS NOT NULL
    GROUP BY trace_no
),

-- Requests of one trace share what it cost: its calls, else what an agent sums up. Others name no cost. It is counted
-- with the first of them.
priced AS MATERIALIZED (
    SELECT
        requests.cohort,
        requests.started_at,
        requests.bucket,
        requests.unit_no,
        CASE WHEN requests.is_first_of_trace THEN coalesce(spent.cost, summed_up.cost) END  AS cost,
        requests.is_first_of_trace AND spent.cost IS NULL                                   AS is_aggregated
    FROM requests
    LEFT JOIN spent
        ON spent.trace_no = requests.trace_no
    LEFT JOIN summed_up
        ON summed_up.trace_no = requests.trace_no
    WHERE spent.cost IS NOT NULL
        OR summed_up.cost IS NOT NULL
),

-- Counted once: else the marks of all units are counted for every row that is joined to them.
whole AS MATERIALIZED (
    SELECT
        cohort,
        count_units(unit_no)  AS units
    FROM priced
    GROUP BY cohort
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
        count(*)                                  AS requests,
        coalesce(sum(cost), 0) / 1e12             AS cost_usd,
        count(*) FILTER (is_aggregated)           AS aggregated
    FROM priced
    GROUP BY
        cohort,
        day,
        bucket
) AS sums
INNER JOIN whole
    ON whole.cohort = sums.cohort
ORDER BY
    sums.cohort,
    sums.day,
    sums.bucket
