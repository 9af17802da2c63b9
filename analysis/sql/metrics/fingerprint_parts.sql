-- When did each part of an agent, and each version of a service, come and go?
--
-- unit: units
-- better: neither
-- grain: who, part, value

WITH

-- Calls of one kind tell one part; all of them tell the parameters of the models they ask.
of_agents AS (
    SELECT
        owner_agent                                                  AS agent,
        cohort,
        kind,
        callee,
        model_parameters,
        unit_no,
        started_at,
        call_id
    FROM calls
    WHERE owner_agent IS NOT NULL
        AND kind IN ('model', 'agent', 'tool', 'mcp')
),

told AS (
    SELECT
        'agent:' || agent                                            AS who,
        CASE kind WHEN 'model' THEN 'model' WHEN 'agent' THEN 'handoff' ELSE 'tool' END  AS part,
        callee                                                       AS value,
        count(*)                                                     AS calls,
        count_units(unit_no)                                         AS uses,
        min(started_at)                                              AS first_at,
        max(started_at)                                              AS last_at,
        -- One whole number for both: comparing rows costs ten times as much.
        arg_min(call_id, epoch_us(started_at)::HUGEINT * 9223372036854775808 + call_id)  AS first_id,
        arg_max(call_id, epoch_us(started_at)::HUGEINT * 9223372036854775808 + call_id)  AS last_id
    FROM of_agents
    WHERE callee NOT LIKE '%?'
    GROUP BY ALL
    UNION ALL
    SELECT
        'agent:' || agent                                            AS who,
        'parameters'                                                 AS part,
        model_parameters                                             AS value,
        count(*)                                                     AS calls,
        count_units(unit_no)                                         AS uses,
        min(started_at)                                              AS first_at,
        max(started_at)                                              AS last_at,
        arg_min(call_id, epoch_us(started_at)::HUGEINT * 9223372036854775808 + call_id)  AS first_id,
        arg_max(call_id, epoch_us(started_at)::HUGEINT * 9223372036854775808 + call_id)  AS last_id
    FROM of_agents
    WHERE model_parameters IS NOT NULL
    GROUP BY ALL
),

named AS (
    SELECT
        told.who,
        told.part,
        told.value,
        told.calls,
        told.uses,
        told.first_at,
        told.last_at,
        firsts.cohort    AS first_cohort,
        firsts.trace_id  AS first_trace_id,
        lasts.trace_id   AS last_trace_id,
        -- The first unit with it may have begun without it.
        (own.began_at < told.first_at)::INTEGER  AS own_before
    FROM told
    INNER JOIN calls AS firsts
        ON firsts.call_id = told.first_id
    INNER JOIN calls AS lasts
        ON lasts.call_id = told.last_id
    INNER JOIN work AS own
        ON own.cohort = firsts.cohort
        AND own.agent = firsts.owner_agent
        AND own.unit_id = firsts.unit_id
    UNION ALL
    -- Of a service the traces are the units: which version answered is no matter of a conversation.
    SELECT
        'service:' || service                                        AS who,
        'version'                                                    AS part,
        service_version                                              AS value,
        sum(spans)::BIGINT                                           AS calls,
        count(*)                                                     AS uses,
        min(began_at)                                                AS first_at,
        max(last_at)                                                 AS last_at,
        arg_min(cohort, (began_at, trace_no))                        AS first_cohort,
        arg_min(trace_id, (began_at, trace_no))                      AS first_trace_id,
        arg_max(trace_id, (last_at, trace_no))                       AS last_trace_id,
        0                                                            AS own_before
    FROM service_work
    WHERE service_version IS NOT NULL
    GROUP BY
        service,
        service_version
),

-- whoever worked when; the cohorts of a lake are one history
worked AS (
    SELECT
        'agent:' || agent                                            AS who,
        began_at,
        last_at
    FROM work
    WHERE is_agent
    UNION ALL
    SELECT
        'service:' || service                                        AS who,
        began_at,
        last_at
    FROM service_work
    WHERE service_version IS NOT NULL
),

days AS (
    SELECT
        who,
        began_at::DATE   AS day,
        count(*)         AS units,
        min(began_at)    AS watched_since,
        max(last_at)     AS watched_until
    FROM worked
    GROUP BY ALL
),

watched AS (
    SELECT
        who,
        sum(units)::BIGINT   AS units,
        min(watched_since)   AS watched_since,
        max(watched_until)   AS watched_until
    FROM days
    GROUP BY who
),

-- How many units had begun by a moment: whole days are added up, within a day they are counted.
moments AS (
    SELECT
        who,
        first_at  AS at
    FROM named
    UNION
    SELECT
        who,
        last_at
    FROM named
),

begun AS (
    SELECT
        moments.who,
        moments.at,
        coalesce(any_value(earlier.units), 0) + count(worked.who) FILTER (worked.began_at < moments.at)  AS before,
        coalesce(any_value(earlier.units), 0) + count(worked.who)                                       AS until
    FROM moments
    LEFT JOIN (
        SELECT
            moments.who,
            moments.at,
            sum(days.units)::BIGINT  AS units
        FROM moments
        INNER JOIN days
            ON days.who = moments.who
            AND days.day < moments.at::DATE
        GROUP BY
            moments.who,
            moments.at
    ) AS earlier
        ON earlier.who = moments.who
        AND earlier.at = moments.at
    LEFT JOIN worked
        ON worked.who = moments.who
        AND worked.began_at::DATE = moments.at::DATE
        AND worked.began_at <= moments.at
    GROUP BY
        moments.who,
        moments.at
)

SELECT
    named.who,                                           -- agent:name or service:name
    named.part,                                          -- model, its parameters, tool, handoff; version of a service
    named.value,
    named.calls,                                         -- spans, of a version
    named.uses,                                          -- units with it: conversations, else traces; of a service, traces
    watched.units,                                       -- of whoever it is a part of
    at_first.before - named.own_before                   AS units_before,  -- begun before the first with it
    watched.units - at_last.until                        AS units_after,   -- begun after the last with it
    named.first_at,
    named.last_at,
    named.first_cohort,
    named.first_trace_id,
    named.last_trace_id,
    watched.watched_since,
    watched.watched_until
FROM named
INNER JOIN watched
    ON watched.who = named.who
INNER JOIN begun AS at_first
    ON at_first.who = named.who
    AND at_first.at = named.first_at
INNER JOIN begun AS at_last
    ON at_last.who = named.who
    AND at_last.at = named.last_at
ORDER BY
    named.who,
    named.part,
    named.first_at,
    named.value
