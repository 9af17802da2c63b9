-- What does each number of a handoff stand for?
--
-- unit: handoffs
-- better: neither
-- grain: boundary_no

SELECT
    boundary_no,
    cohort,
    boundary_id,
    caller || ' → ' || callee  AS boundary,
    kind
FROM boundaries
ORDER BY boundary_no
