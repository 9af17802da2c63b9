-- Which resources do several agents or services touch?
--
-- unit: calls
-- better: lower
-- grain: cohort, resource

SELECT
    accesses.cohort,
    accesses.resource,
    any_value(accesses.kind)                                    AS kind,
    count(DISTINCT calls.owner_agent)                           AS agents,
    count(DISTINCT accesses.service)                            AS services,
    list_sort(list(DISTINCT calls.owner_agent) FILTER (calls.owner_agent IS NOT NULL))  AS agent_names,
    list_sort(list(DISTINCT accesses.service) FILTER (accesses.service IS NOT NULL))    AS service_names,  -- whose spans touch it
    -- Two that write one thing can undo each other's work.
    count(DISTINCT accesses.agent)
        FILTER (accesses.access IN ('write', 'delete', 'admin'))  AS writers,        -- agents, else services
    list_sort(list(DISTINCT accesses.access))                   AS accesses,
    count(DISTINCT accesses.call_id)                            AS calls,
    count(DISTINCT calls.unit_id)                               AS units,          -- conversations, else traces
    min(accesses.started_at)                                    AS first_at,
    max(accesses.started_at)                                    AS last_at,
    list_sort(list_distinct(flatten(list(accesses.sensitivity))))  AS sensitivity,  -- declared tags, else hints from the name
    bool_and(accesses.is_sensitivity_inferred)                  AS is_sensitivity_inferred,
    min_by(accesses.trace_id, (accesses.started_at, accesses.call_id))  AS example_trace_id
FROM accesses
INNER JOIN calls
    ON calls.call_id = accesses.call_id
WHERE accesses.access <> 'none'
GROUP BY
    accesses.cohort,
    accesses.resource
-- What is touched by nobody's agent may be an agent's whose context was lost: that is no second one.
HAVING count(DISTINCT calls.owner_agent) > 1
    OR count(DISTINCT accesses.service) > 1
ORDER BY
    accesses.cohort,
    writers DESC,
    calls DESC,
    accesses.resource
