-- Who touches which data, and how?
--
-- unit: calls
-- better: lower
-- grain: cohort, agent, resource, access

WITH

used AS MATERIALIZED (
    SELECT
        touches.use_no,
        count(*)                                AS calls,
        count(*) FILTER (accesses.is_error)     AS failed,
        sum(accesses.rows)::BIGINT              AS rows,
        count_units(accesses.unit_no)           AS units,
        count_turns(accesses.turn_no)           AS turns,
        max(accesses.weight)                    AS weight,
        min(accesses.started_at)                AS first_at,
        max(accesses.started_at)                AS last_at
    FROM accesses
    INNER JOIN touches
        ON touches.access_no = accesses.access_no
    GROUP BY touches.use_no
),

-- what is the same of all
named AS (
    SELECT
        use_no,
        any_value(cohort)                                     AS cohort,
        any_value(agent)                                      AS agent,
        any_value(resource)                                   AS resource,
        any_value(access)                                     AS access,
        min(kind)                                             AS kind,
        list_sort(list_distinct(flatten(list(sensitivity))))  AS sensitivity,
        bool_and(is_sensitivity_inferred)                     AS is_sensitivity_inferred
    FROM touches
    GROUP BY use_no
),

firsts AS (
    SELECT
        touches.use_no,
        arg_min(accesses.trace_id, accesses.call_id)          AS trace_id,
        arg_min(touches.service_version, accesses.call_id)    AS service_version
    FROM accesses
    INNER JOIN touches
        ON touches.access_no = accesses.access_no
    INNER JOIN used
        ON used.use_no = touches.use_no
        AND used.first_at = accesses.started_at
    GROUP BY touches.use_no
),

-- only where units count differently
weighed AS (
    SELECT
        use_no,
        sum(weight)  AS units
    FROM (
        SELECT
            touches.use_no,
            accesses.unit_no,
            avg(accesses.weight)  AS weight
        FROM accesses
        INNER JOIN touches
            ON touches.access_no = accesses.access_no
        WHERE (
            SELECT is_weighted
            FROM sizes
        )
        GROUP BY ALL
    )
    GROUP BY use_no
)

SELECT
    named.cohort,
    named.agent,                                  -- owner agent, else service
    named.resource,
    named.access,                                 -- none, read, execute, write, delete, admin, unknown
    named.kind,
    used.calls,
    used.failed,
    used.rows,                                   -- rows returned, where the span says it
    used.units,                                  -- conversations, else traces
    coalesce(weighed.units, used.units * used.weight)  AS weighed_units,  -- units these stand for, where traces were sampled
    used.turns,                                  -- of conversations; none where no conversation is told
    used.first_at,
    used.last_at,
    firsts.trace_id         AS first_trace_id,
    firsts.service_version  AS first_version,    -- of the service that was first
    named.sensitivity,                            -- declared tags, else hints from the name
    named.is_sensitivity_inferred
FROM used
INNER JOIN named
    ON named.use_no = used.use_no
INNER JOIN firsts
    ON firsts.use_no = used.use_no
LEFT JOIN weighed
    ON weighed.use_no = used.use_no
ORDER BY
    named.cohort,
    named.agent,
    named.resource,
    named.access
