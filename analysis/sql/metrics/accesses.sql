-- Who touches which data, and how?
--
-- unit: calls
-- better: lower
-- grain: cohort, agent, resource, access

SELECT
    cohort,
    agent,                                       -- owner agent, else service
    resource,
    access,                                      -- none, read, execute, write, delete, admin, unknown
    any_value(kind)                              AS kind,
    count(DISTINCT call_id)                      AS calls,
    count(DISTINCT call_id) FILTER (is_error)    AS failed,
    sum(rows)::BIGINT                            AS rows,      -- rows returned, where the span says it
    count(DISTINCT trace_id)                     AS traces,
    min(started_at)                              AS first_at,
    max(started_at)                              AS last_at,
    min_by(trace_id, (started_at, call_id))      AS first_trace_id,
    list_sort(list_distinct(flatten(list(sensitivity))))  AS sensitivity,  -- declared tags, else hints from the name
    bool_and(is_sensitivity_inferred)            AS is_sensitivity_inferred
FROM accesses
GROUP BY
    cohort,
    agent,
    resource,
    access
ORDER BY
    cohort,
    agent,
    resource,
    access
