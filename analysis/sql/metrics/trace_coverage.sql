-- In how many traces is no span missing?
--
-- unit: traces
-- better: higher
-- grain: cohort

WITH traces AS (
    SELECT
        cohort,
        trace_no,
        bool_or(parent_state = 'missing')  AS has_hole
    FROM nodes
    GROUP BY cohort, trace_no
)
SELECT
    cohort,
    count(*)                              AS traces,
    count(*) FILTER (WHERE NOT has_hole)  AS complete_traces   -- every parent a span names is there
FROM traces
GROUP BY cohort
ORDER BY cohort
