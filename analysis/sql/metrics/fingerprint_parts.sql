-- When did each part of an agent, and each version of a service, come and go?
--
-- unit: units
-- better: neither
-- grain: who, part, value

WITH

-- who called what, in one pass
met AS MATERIALIZED (
    SELECT
        boundary_no,
        worker_no,
        count(*)         AS calls,
        min(started_at)  AS first_at,
        max(started_at)  AS last_at
    FROM calls
    GROUP BY
        boundary_no,
        worker_no
),

-- Calls of one kind tell one part; all of them tell the parameters of the models they ask.
parts AS MATERIALIZED (
    SELECT
        met.*,
        workers.owner_agent  AS agent,
        CASE boundaries.kind WHEN 'model' THEN 'model' WHEN 'agent' THEN 'handoff' ELSE 'tool' END  AS part,
        boundaries.callee    AS value,
        (dense_rank() OVER (ORDER BY workers.owner_agent, part, boundaries.callee))::INTEGER         AS part_no
    FROM met
    INNER JOIN boundaries
        ON boundaries.boundary_no = met.boundary_no
    INNER JOIN workers
        ON workers.worker_no = met.worker_no
    WHERE workers.owner_agent IS NOT NULL
        AND boundaries.kind IN ('model', 'agent', 'tool', 'mcp')
        AND boundaries.callee NOT LIKE '%?'
),

of_parts AS MATERIALIZED (
    SELECT
        parts.part_no,
        any_value(parts.agent)          AS agent,
        any_value(parts.part)           AS part,
        any_value(parts.value)          AS value,
        sum(parts.calls)::BIGINT        AS calls,
        min(parts.first_at)             AS first_at,
        max(parts.last_at)              AS last_at
    FROM parts
    GROUP BY parts.part_no
),

seen AS (
    SELECT
        parts.part_no,
        count_units(calls.unit_no)                                                    AS uses,
        min(CASE WHEN calls.started_at = of_parts.first_at THEN calls.call_id END)    AS first_id,
        max(CASE WHEN calls.started_at = of_parts.last_at THEN calls.call_id END)     AS last_id
    FROM calls
    INNER JOIN parts
        ON parts.boundary_no = calls.boundary_no
        AND parts.worker_no = calls.worker_no
    INNER JOIN of_parts
        ON of_parts.part_no = parts.part_no
    GROUP BY parts.part_no
),

told AS MATERIALIZED (
    SELECT
        of_parts.agent,
        of_parts.part,
        of_parts.value,
        of_parts.calls,
        seen.uses,
        of_parts.first_at,
        of_parts.last_at,
        seen.first_id,
        seen.last_id
    FROM of_parts
    INNER JOIN seen
        ON seen.part_no = of_parts.part_no
    UNION ALL
    SELECT
        workers.owner_agent                                          AS agent,
        'parameters'                                                 AS part,
        calls.model_parameters                                       AS value,
        count(*)                                                     AS calls,
        count_units(calls.unit_no)                                   AS uses,
        min(calls.started_at)                                        AS first_at,
        max(calls.started_at)                                        AS last_at,
        -- One whole number for both: comparing rows costs ten times as much.
        arg_min(calls.call_id, epoch_us(calls.started_at)::HUGEINT * 9223372036854775808 + calls.call_id)  AS first_id,
        arg_max(calls.call_id, epoch_us(calls.started_at)::HUGEINT * 9223372036854775808 + calls.call_id)  AS last_id
    FROM calls
    INNER JOIN workers
        ON workers.worker_no = calls.worker_no
    WHERE calls.model_parameters IS NOT NULL
        AND calls.kind IN ('model', 'agent', 'tool', 'mcp')
        AND workers.owner_agent IS NOT NULL
    GROUP BY ALL
),

-- Grouped, though each is one row: so the planner knows how few they are.
ends AS MATERIALIZED (
    SELECT
        call_id,
        boundary_no,
        trace_no,
        unit_no
    FROM calls
    SEMI JOIN (
        SELECT min(first_id)  AS call_id
        FROM told
        GROUP BY
            agent,
            part,
            value
        UNION ALL
        SELECT min(last_id)  AS call_id
        FROM told
        GROUP BY
            agent,
            part,
            value
    ) AS few
        ON few.call_id = calls.call_id
),

-- Of a service the traces are the units: which version answered is no matter of a conversation.
versioned AS MATERIALIZED (
    SELECT
        service,
        service_version,
        began_at::DATE       AS day,
        sum(spans)::BIGINT   AS calls,
        count(*)             AS uses,
        min(began_at)        AS first_at,
        max(last_at)         AS last_at
    FROM service_work
    WHERE service_version IS NOT NULL
    GROUP BY
        service,
        service_version,
        day
),

versions AS MATERIALIZED (
    SELECT
        service,
        service_version,
        sum(calls)::BIGINT   AS calls,
        sum(uses)::BIGINT    AS uses,
        min(first_at)        AS first_at,
        max(last_at)         AS last_at
    FROM versioned
    GROUP BY
        service,
        service_version
),

version_ends AS (
    SELECT
        versions.service,
        versions.service_version,
        min(work.trace_no) FILTER (work.began_at = versions.first_at)  AS first_no,
        max(work.trace_no) FILTER (work.last_at = versions.last_at)    AS last_no
    FROM (
        SELECT
            service,
            service_version,
            trace_no,
            began_at,
            last_at
        FROM service_work
        WHERE began_at IN (SELECT first_at FROM versions)
            OR last_at IN (SELECT last_at FROM versions)
    ) AS work
    INNER JOIN versions
        ON versions.service = work.service
        AND versions.service_version = work.service_version
    GROUP BY
        versions.service,
        versions.service_version
),

named AS MATERIALIZED (
    SELECT
        true                         AS is_agent,
        told.agent                   AS name,
        told.part,
        told.value,
        told.calls,
        told.uses,
        told.first_at,
        told.last_at,
        firsts.trace_no              AS first_no,
        lasts.trace_no               AS last_no,
        -- The first unit with it may have begun without it.
        (own.began_at < told.first_at)::INTEGER  AS own_before
    FROM told
    INNER JOIN ends AS firsts
        ON firsts.call_id = told.first_id
    INNER JOIN boundaries
        ON boundaries.boundary_no = firsts.boundary_no
    INNER JOIN ends AS lasts
        ON lasts.call_id = told.last_id
    INNER JOIN work AS own
        ON own.cohort = boundaries.cohort
        AND own.agent = told.agent
        AND own.unit_no = firsts.unit_no
    UNION ALL
    SELECT
        false                        AS is_agent,
        versions.service             AS name,
        'version'                    AS part,
        versions.service_version     AS value,
        versions.calls,
        versions.uses,
        versions.first_at,
        versions.last_at,
        version_ends.first_no,
        version_ends.last_no,
        0                            AS own_before
    FROM versions
    INNER JOIN version_ends
        ON version_ends.service = versions.service
        AND version_ends.service_version = versions.service_version
),

-- whoever worked when; the cohorts of a lake are one history
days AS MATERIALIZED (
    SELECT
        true             AS is_agent,
        agent            AS name,
        began_at::DATE   AS day,
        count(*)         AS units,
        min(began_at)    AS watched_since,
        max(last_at)     AS watched_until
    FROM work
    WHERE is_agent
    GROUP BY ALL
    UNION ALL
    SELECT
        false               AS is_agent,
        service             AS name,
        day,
        sum(uses)::BIGINT   AS units,
        min(first_at)       AS watched_since,
        max(last_at)        AS watched_until
    FROM versioned
    GROUP BY ALL
),

watched AS (
    SELECT
        is_agent,
        name,
        sum(units)::BIGINT   AS units,
        min(watched_since)   AS watched_since,
        max(watched_until)   AS watched_until
    FROM days
    GROUP BY
        is_agent,
        name
),

-- How many units had begun by a moment: whole days are added up, within a day they are counted.
moments AS MATERIALIZED (
    SELECT
        is_agent,
        name,
        first_at  AS at
    FROM named
    UNION
    SELECT
        is_agent,
        name,
        last_at
    FROM named
),

within AS (
    SELECT
        moments.is_agent,
        moments.name,
        moments.at,
        count(*) FILTER (work.began_at < moments.at)  AS before,
        count(*)                                      AS until
    FROM work
    INNER JOIN moments
        ON moments.name = work.agent
        AND moments.at::DATE = work.began_at::DATE
        AND moments.at >= work.began_at
    WHERE moments.is_agent
        AND work.is_agent
    GROUP BY ALL
    UNION ALL
    SELECT
        moments.is_agent,
        moments.name,
        moments.at,
        count(*) FILTER (work.began_at < moments.at)  AS before,
        count(*)                                      AS until
    FROM service_work AS work
    INNER JOIN moments
        ON moments.name = work.service
        AND moments.at::DATE = work.began_at::DATE
        AND moments.at >= work.began_at
    WHERE NOT moments.is_agent
        AND work.service_version IS NOT NULL
    GROUP BY ALL
),

begun AS (
    SELECT
        moments.is_agent,
        moments.name,
        moments.at,
        coalesce(any_value(earlier.units), 0) + coalesce(any_value(within.before), 0)  AS before,
        coalesce(any_value(earlier.units), 0) + coalesce(any_value(within.until), 0)   AS until
    FROM moments
    LEFT JOIN (
        SELECT
            moments.is_agent,
            moments.name,
            moments.at,
            sum(days.units)::BIGINT  AS units
        FROM moments
        INNER JOIN days
            ON days.is_agent = moments.is_agent
            AND days.name = moments.name
            AND days.day < moments.at::DATE
        GROUP BY ALL
    ) AS earlier
        ON earlier.is_agent = moments.is_agent
        AND earlier.name = moments.name
        AND earlier.at = moments.at
    LEFT JOIN within
        ON within.is_agent = moments.is_agent
        AND within.name = moments.name
        AND within.at = moments.at
    GROUP BY
        moments.is_agent,
        moments.name,
        moments.at
)

SELECT
    CASE WHEN named.is_agent THEN 'agent:' ELSE 'service:' END || named.name  AS who,  -- agent:name or service:name
    named.part,                                          -- model, its parameters, tool, handoff; version of a service
    named.value,
    named.calls,                                         -- spans, of a version
    named.uses,                                          -- units with it: conversations, else traces; of a service, traces
    watched.units,                                       -- of whoever it is a part of
    at_first.before - named.own_before                   AS units_before,  -- begun before the first with it
    watched.units - at_last.until                        AS units_after,   -- begun after the last with it
    named.first_at,
    named.last_at,
    firsts.cohort    AS first_cohort,
    firsts.trace_id  AS first_trace_id,
    lasts.trace_id   AS last_trace_id,
    watched.watched_since,
    watched.watched_until
FROM named
INNER JOIN traces AS firsts
    ON firsts.trace_no = named.first_no
INNER JOIN traces AS lasts
    ON lasts.trace_no = named.last_no
INNER JOIN watched
    ON watched.is_agent = named.is_agent
    AND watched.name = named.name
INNER JOIN begun AS at_first
    ON at_first.is_agent = named.is_agent
    AND at_first.name = named.name
    AND at_first.at = named.first_at
INNER JOIN begun AS at_last
    ON at_last.is_agent = named.is_agent
    AND at_last.name = named.name
    AND at_last.at = named.last_at
ORDER BY
    who,
    named.part,
    named.first_at,
    named.value
