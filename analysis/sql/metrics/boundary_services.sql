-- Which services and agents stand on either side of every handoff?
--
-- unit: calls
-- better: neither
-- grain: boundary_id

SELECT
    boundary_id,
    list_sort(list(DISTINCT owner_service) FILTER (owner_service IS NOT NULL))    AS caller_services,
    list_sort(list(DISTINCT callee_service) FILTER (callee_service IS NOT NULL))  AS callee_services,
    list_sort(list(DISTINCT owner_agent) FILTER (owner_agent IS NOT NULL))        AS agents,  -- on whose way it lies
    count(*)                                                                      AS calls
FROM calls
GROUP BY boundary_id
ORDER BY boundary_id
