-- What did the model calls of every trace cost, and how many requests share the cost?
--
-- unit: usd
-- better: lower
-- grain: cohort, trace_no

WITH costs AS (
    SELECT
        cohort,
        trace_no,
        sum(cost_usd)  AS cost_usd
    FROM calls
    GROUP BY cohort, trace_no
)
SELECT
    requests.cohort,
    requests.trace_no,
    min(requests.unit_id)   AS unit_id,
    min(requests.started_at)  AS started_at,
    count(*)                AS requests,
    -- Null where neither a call nor an agent named its cost.
    coalesce(any_value(costs.cost_usd), sum(requests.aggregated_cost_usd))  AS cost_usd,
    any_value(costs.cost_usd) IS NULL AND bool_or(requests.aggregated_cost_usd IS NOT NULL)  AS is_aggregated
FROM requests
LEFT JOIN costs
  ON costs.cohort = requests.cohort
 AND costs.trace_no = requests.trace_no
GROUP BY requests.cohort, requests.trace_no
ORDER BY requests.cohort, requests.trace_no
