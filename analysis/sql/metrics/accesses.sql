-- Who touches which data, and how?
--
-- unit: calls
-- better: lower
-- grain: cohort, agent, resource, access

WITH

used AS (
    SELECT
        cohort,
        agent,
        resource,
        access,
        any_value(kind)                                       AS kind,
        count(*)                                              AS calls,
        count(*) FILTER (is_error)                            AS failed,
        sum(rows)::BIGINT                                     AS rows,
        count_units(unit_no)                                  AS units,
        count_turns(turn_no)                                  AS turns,
        max(weight)                                           AS weight,
        min(started_at)                                       AS first_at,
        max(started_at)                                       AS last_at,
        -- One whole number for both: comparing rows costs ten times as much.
        arg_min(call_id, epoch_us(started_at)::HUGEINT * 9223372036854775808 + call_id)  AS first_id,
        list_sort(list_distinct(flatten(list(DISTINCT sensitivity))))                    AS sensitivity,
        bool_and(is_sensitivity_inferred)                     AS is_sensitivity_inferred
    FROM accesses
    GROUP BY
        cohort,
        agent,
        resource,
        access
),

-- only where units count differently
weighed AS (
    SELECT
        cohort,
        agent,
        resource,
        access,
        sum(weight)  AS units
    FROM (
        SELECT
            cohort,
            agent,
            resource,
            access,
            unit_no,
            avg(weight)  AS weight
        FROM accesses
        WHERE (
            SELECT min(weight) < max(weight)
            FROM accesses
        )
        GROUP BY ALL
    )
    GROUP BY ALL
)

SELECT
    used.cohort,
    used.agent,                                  -- owner agent, else service
    used.resource,
    used.access,                                 -- none, read, execute, write, delete, admin, unknown
    used.kind,
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
    used.sensitivity,                            -- declared tags, else hints from the name
    used.is_sensitivity_inferred
FROM used
INNER JOIN accesses AS firsts
    ON firsts.call_id = used.first_id
    AND firsts.resource = used.resource
    AND firsts.access = used.access
LEFT JOIN weighed
    ON weighed.cohort = used.cohort
    AND weighed.agent = used.agent
    AND weighed.resource = used.resource
    AND weighed.access = used.access
ORDER BY
    used.cohort,
    used.agent,
    used.resource,
    used.access
