-- Which resources do several agents or services touch?
--
-- unit: calls
-- better: lower
-- grain: cohort, resource

WITH

things AS MATERIALIZED (
    SELECT
        *,
        (dense_rank() OVER (ORDER BY cohort, resource))::INTEGER  AS thing_no
    FROM touches
    WHERE access <> 'none'
),

-- what was touched in the scope, and by whom
seen AS MATERIALIZED (
    SELECT
        access_no,
        count(*) FILTER (is_first_of_call)  AS calls,
        min(started_at)                     AS first_at,
        max(started_at)                     AS last_at
    FROM accesses
    GROUP BY access_no
),

used AS MATERIALIZED (
    SELECT
        things.thing_no,
        any_value(things.cohort)                                         AS cohort,
        any_value(things.resource)                                       AS resource,
        min(things.kind)                                                 AS kind,
        coalesce(
            list_sort(list(DISTINCT things.owner_agent) FILTER (things.owner_agent IS NOT NULL)), []
        )                                                                AS agent_names,
        coalesce(list_sort(list(DISTINCT things.service) FILTER (things.service IS NOT NULL)), [])  AS service_names,
        -- Two that write one thing can undo each other's work.
        count(DISTINCT things.agent)
            FILTER (things.access IN ('write', 'delete', 'admin'))       AS writers,
        list_sort(list(DISTINCT things.access))                          AS accesses,
        sum(seen.calls)::BIGINT                                          AS calls,
        min(seen.first_at)                                               AS first_at,
        max(seen.last_at)                                                AS last_at,
        list_sort(list_distinct(flatten(list(things.sensitivity))))      AS sensitivity,
        bool_and(things.is_sensitivity_inferred)                         AS is_sensitivity_inferred
    FROM things
    INNER JOIN seen
        ON seen.access_no = things.access_no
    GROUP BY things.thing_no
    -- What is touched by nobody's agent may be an agent's whose context was lost: that is no second one.
    HAVING count(DISTINCT things.owner_agent) > 1
        OR count(DISTINCT things.service) > 1
),

counted AS (
    SELECT
        things.thing_no,
        count_units(accesses.unit_no)  AS units
    FROM accesses
    INNER JOIN things
        ON things.access_no = accesses.access_no
    SEMI JOIN used
        ON used.thing_no = things.thing_no
    GROUP BY things.thing_no
),

firsts AS (
    SELECT
        things.thing_no,
        arg_min(accesses.trace_id, accesses.call_id)  AS trace_id
    FROM accesses
    INNER JOIN things
        ON things.access_no = accesses.access_no
    INNER JOIN used
        ON used.thing_no = things.thing_no
        AND used.first_at = accesses.started_at
    GROUP BY things.thing_no
)

SELECT
    used.cohort,
    used.resource,
    used.kind,
    len(used.agent_names)      AS agents,
    len(used.service_names)    AS services,
    used.agent_names,
    used.service_names,                                         -- whose spans touch it
    used.writers,                                               -- agents, else services
    used.accesses,
    used.calls,
    counted.units,                                              -- conversations, else traces
    used.first_at,
    used.last_at,
    used.sensitivity,                                           -- declared tags, else hints from the name
    used.is_sensitivity_inferred,
    firsts.trace_id            AS example_trace_id              -- of the first
FROM used
INNER JOIN counted
    ON counted.thing_no = used.thing_no
INNER JOIN firsts
    ON firsts.thing_no = used.thing_no
ORDER BY
    used.cohort,
    used.writers DESC,
    used.calls DESC,
    used.resource
