-- Which agent touched which resource, in which way, how often and since when?
--
-- unit: calls
-- better: lower
-- grain: cohort, agent, resource, access, kind

SELECT
    accesses.cohort,
    accesses.agent,
    accesses.resource,
    accesses.access,
    accesses.kind,
    count(DISTINCT accesses.call_id)                                      AS calls,
    count(DISTINCT accesses.call_id) FILTER (WHERE accesses.is_error)     AS failed,
    sum(accesses.rows)                                                    AS rows,    -- null where nobody counted
    count(DISTINCT accesses.trace_id)                                     AS traces,
    min(accesses.started_at)                                              AS first_at,
    max(accesses.started_at)                                              AS last_at,
    arg_min(accesses.trace_id, (accesses.started_at, accesses.trace_id))  AS first_trace_id,
    list_sort(list_distinct(flatten(list(accesses.sensitivity)
        FILTER (WHERE accesses.sensitivity IS NOT NULL))))                AS sensitivity,
    bool_and(accesses.is_sensitivity_inferred)                            AS is_sensitivity_inferred
FROM accesses
GROUP BY accesses.cohort, accesses.agent, accesses.resource, accesses.access, accesses.kind
ORDER BY accesses.cohort, accesses.agent, accesses.resource, accesses.access, accesses.kind
