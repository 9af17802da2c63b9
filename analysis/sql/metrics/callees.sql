-- Which service answers at every handoff?
--
-- unit: calls
-- better: neither
-- grain: boundary_id

SELECT
    boundary_id,
    any_value(caller)    AS caller,
    any_value(callee)    AS callee,
    mode(callee_service) AS callee_service  -- null where nobody named it
FROM calls
GROUP BY boundary_id
ORDER BY boundary_id
