-- In how many traces is no span missing?
--
-- unit: traces
-- better: higher
-- grain: cohort

SELECT
    cohort,
    count(*)                                             AS traces,
    count(*) FILTER (WHERE NOT has_hole AND NOT is_cut)  AS complete_traces,            -- from entry to end
    count(*) FILTER (WHERE has_hole)                     AS traces_with_missing_spans,  -- a named parent is not there
    count(*) FILTER (WHERE is_cut)                       AS cut_traces                  -- begun by a call in the middle
FROM trace_holes
GROUP BY cohort
ORDER BY cohort
