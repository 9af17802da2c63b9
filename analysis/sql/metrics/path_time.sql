-- What did requests wait for, along their critical path?
--
-- unit: ms
-- better: lower
-- grain: cohort, boundary_id

SELECT
    cohort,
    boundary_id,                                                    -- null: the entry's own work, outside any handoff
    any_value(kind)                        AS kind,
    sum(self_ns) / 1e6                     AS self_ms_total,        -- these add up to the requests' durations
    count(*) FILTER (is_first)             AS requests
FROM critical_path
-- a part of another request, told in another trace
ANTI JOIN joins
    ON joins.node_id = critical_path.request_id
GROUP BY
    cohort,
    boundary_id
ORDER BY
    cohort,
    self_ms_total DESC,
    boundary_id
