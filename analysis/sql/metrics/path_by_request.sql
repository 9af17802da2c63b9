-- How much of every request's time was spent at each boundary, on the critical path?
--
-- unit: ms
-- better: lower
-- grain: request_id, boundary_id

SELECT
    cohort,
    request_id,
    boundary_id,                         -- null outside every boundary call
    kind,
    sum(self_ns) / 1e6  AS critical_ms   -- sums to the request's duration
FROM critical_path
GROUP BY cohort, request_id, boundary_id, kind
ORDER BY request_id, boundary_id, kind
