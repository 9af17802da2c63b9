-- Which services and agents stand on either side of every handoff?
--
-- unit: calls
-- better: neither
-- grain: boundary_id

WITH met AS (
    SELECT
        boundary_no,
        worker_no,
        callee_service,
        count(*)  AS calls
    FROM calls
    GROUP BY ALL
)

SELECT
    boundaries.boundary_id,
    list_sort(list(DISTINCT workers.owner_service) FILTER (workers.owner_service IS NOT NULL))  AS caller_services,
    list_sort(list(DISTINCT met.callee_service) FILTER (met.callee_service IS NOT NULL))        AS callee_services,
    list_sort(list(DISTINCT workers.owner_agent) FILTER (workers.owner_agent IS NOT NULL))      AS agents,  -- on whose way it lies
    sum(met.calls)::BIGINT                                                                      AS calls
FROM met
INNER JOIN boundaries
    ON boundaries.boundary_no = met.boundary_no
INNER JOIN workers
    ON workers.worker_no = met.worker_no
GROUP BY boundaries.boundary_id
ORDER BY boundaries.boundary_id
