-- When did each part of an agent, and each version of a service, come and go?
--
-- unit: units
-- better: neither
-- grain: who, part, value

WITH

-- the unit of what a trace made: its request's, or that of the trace it surely is a part of
homes AS (
    SELECT
        trace_no,
        min(unit_id)  AS unit_id
    FROM (
        SELECT
            trace_no,
            unit_id
        FROM requests
        UNION ALL
        SELECT
            parts.trace_no,
            requests.unit_id
        FROM (
            SELECT DISTINCT
                trace_no,
                joined_trace_no
            FROM joins
        ) AS parts
        INNER JOIN requests
            ON requests.trace_no = parts.joined_trace_no
        ANTI JOIN requests AS own
            ON own.trace_no = parts.trace_no
    )
    GROUP BY trace_no
    HAVING min(unit_id) = max(unit_id)
),

-- one row a trace and part
told AS (
    SELECT
        'agent:' || owner_agent                                      AS who,
        CASE
            WHEN kind = 'model' THEN 'model'
            WHEN kind = 'agent' THEN 'handoff'
            WHEN kind IN ('tool', 'mcp') THEN 'tool'
        END                                                          AS part,
        callee                                                       AS value,
        cohort,
        trace_no,
        any_value(unit_id)                                           AS unit_id,
        any_value(trace_id)                                          AS trace_id,
        min(started_at)                                              AS first_at,
        max(started_at)                                              AS last_at,
        count(*)                                                     AS calls
    FROM calls
    WHERE owner_agent IS NOT NULL
        AND kind IN ('model', 'agent', 'tool', 'mcp')
        AND callee NOT LIKE '%?'
    GROUP BY ALL
    UNION ALL
    SELECT
        'agent:' || owner_agent                                      AS who,
        'parameters'                                                 AS part,
        model_parameters                                             AS value,
        cohort,
        trace_no,
        any_value(unit_id)                                           AS unit_id,
        any_value(trace_id)                                          AS trace_id,
        min(started_at)                                              AS first_at,
        max(started_at)                                              AS last_at,
        count(*)                                                     AS calls
    FROM calls
    WHERE owner_agent IS NOT NULL
        AND model_parameters IS NOT NULL
    GROUP BY ALL
    UNION ALL
    SELECT
        'service:' || service                                        AS who,
        'version'                                                    AS part,
        service_version                                              AS value,
        cohort,
        trace_no,
        any_value(coalesce(conversation_id, trace_id))               AS unit_id,
        any_value(trace_id)                                          AS trace_id,
        make_timestamp(min(start_ns) // 1000)                        AS first_at,
        make_timestamp(max(start_ns) // 1000)                        AS last_at,
        count(*)                                                     AS calls
    FROM nodes
    WHERE service IS NOT NULL
        AND service_version IS NOT NULL
    GROUP BY ALL
),

units AS (
    SELECT
        told.who,
        told.part,
        told.value,
        told.cohort,
        coalesce(homes.unit_id, told.unit_id)                        AS unit_id,
        min(told.first_at)                                           AS first_at,
        max(told.last_at)                                            AS last_at,
        arg_min(told.trace_id, (told.first_at, told.trace_id))       AS first_trace_id,
        sum(told.calls)                                              AS calls
    FROM told
    LEFT JOIN homes
        ON homes.trace_no = told.trace_no
    GROUP BY ALL
),

-- all units in which somebody was seen, in order of time: the cohorts of a lake are one history
places AS (
    SELECT
        who,
        cohort,
        unit_id,
        row_number() OVER (PARTITION BY who ORDER BY min(first_at), cohort, unit_id)  AS place,
        count(*) OVER (PARTITION BY who)                             AS of_units,
        min(min(first_at)) OVER (PARTITION BY who)                   AS watched_since,
        max(max(last_at)) OVER (PARTITION BY who)                    AS watched_until
    FROM units
    GROUP BY
        who,
        cohort,
        unit_id
)

SELECT
    units.who,                                                           -- agent:name or service:name
    units.part,                                                          -- model, its parameters, tool, handoff; version of a service
    units.value,
    sum(units.calls)::BIGINT                            AS calls,        -- spans, of a version
    count(*)                                            AS uses,         -- units with it: conversations, else traces
    any_value(places.of_units)                          AS units,        -- of whoever it is a part of
    min(places.place) - 1                               AS units_before,   -- before the first with it
    any_value(places.of_units) - max(places.place)      AS units_after,    -- after the last with it
    min(units.first_at)                                 AS first_at,
    max(units.last_at)                                  AS last_at,
    arg_min(units.cohort, units.first_at)               AS first_cohort,
    arg_min(units.first_trace_id, (units.first_at, units.first_trace_id))  AS first_trace_id,
    arg_max(units.first_trace_id, (units.last_at, units.first_trace_id))   AS last_trace_id,
    any_value(places.watched_since)                     AS watched_since,
    any_value(places.watched_until)                     AS watched_until
FROM units
INNER JOIN places
    ON places.who = units.who
    AND places.cohort = units.cohort
    AND places.unit_id = units.unit_id
GROUP BY
    units.who,
    units.part,
    units.value
ORDER BY
    units.who,
    units.part,
    first_at,
    units.value
