-- Which boundaries did every failed request's failure start at?
--
-- unit: requests
-- better: lower
-- grain: request_id, boundary_id

SELECT
    cohort,
    request_id,
    boundary_id,                         -- null where the failure did not start in a call
    sum(origin_weight)  AS failed_share  -- sums to 1 over a failed request
FROM failures
-- a part of another request, told in another trace
ANTI JOIN joins
    ON joins.node_id = failures.request_id
WHERE is_origin
  AND is_visible
  AND request_id IS NOT NULL
GROUP BY cohort, request_id, boundary_id
ORDER BY request_id, boundary_id
