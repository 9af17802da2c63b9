-- Which resources do several agents or services touch?
--
-- unit: calls
-- better: lower
-- grain: cohort, resource

WITH used AS (
    SELECT
        cohort,
        resource,
        any_value(kind)                                           AS kind,
        coalesce(list_sort(list(DISTINCT owner_agent) FILTER (owner_agent IS NOT NULL)), [])                     AS agent_names,
        coalesce(list_sort(list(DISTINCT service) FILTER (service IS NOT NULL)), [])                         AS service_names,
        -- Two that write one thing can undo each other's work.
        count(DISTINCT agent)
            FILTER (access IN ('write', 'delete', 'admin'))       AS writers,
        list_sort(list(DISTINCT access))                          AS accesses,
        count(*) FILTER (is_first_of_call)                        AS calls,
        count_units(unit_no)                                      AS units,
        min(started_at)                                           AS first_at,
        max(started_at)                                           AS last_at,
        list_sort(list_distinct(flatten(list(DISTINCT sensitivity))))  AS sensitivity,
        bool_and(is_sensitivity_inferred)                         AS is_sensitivity_inferred,
        arg_min(call_id, epoch_us(started_at)::HUGEINT * 9223372036854775808 + call_id)  AS first_id
    FROM accesses
    WHERE access <> 'none'
    GROUP BY
        cohort,
        resource
    -- What is touched by nobody's agent may be an agent's whose context was lost: that is no second one.
    HAVING count(DISTINCT owner_agent) > 1
        OR count(DISTINCT service) > 1
)

SELECT
    used.cohort,
    used.resource,
    used.kind,
    len(used.agent_names)                                       AS agents,
    len(used.service_names)                                     AS services,
    used.agent_names,
    used.service_names,                                         -- whose spans touch it
    used.writers,                                               -- agents, else services
    used.accesses,
    used.calls,
    used.units,                                                 -- conversations, else traces
    used.first_at,
    used.last_at,
    used.sensitivity,                                           -- declared tags, else hints from the name
    used.is_sensitivity_inferred,
    any_value(firsts.trace_id)                                  AS example_trace_id
FROM used
INNER JOIN accesses AS firsts
    ON firsts.call_id = used.first_id
GROUP BY ALL
ORDER BY
    used.cohort,
    used.writers DESC,
    used.calls DESC,
    used.resource
