-- What did an agent touch for the first time, and after how much work without it?
--
-- unit: changes
-- better: lower
-- grain: agent, resource, other_resource, access, change

WITH

-- one row a thing done on a resource; the cohorts of a lake are one history
firsts AS (
    SELECT
        agent,
        resource,
        access,
        nullif(list_position(['none', 'read', 'execute', 'write', 'delete', 'admin'], access), 0)
                                                                     AS rank,   -- null: unknown
        min(started_at)                                              AS first_at,
        -- One whole number for both: comparing rows costs ten times as much.
        arg_min(call_id, epoch_us(started_at)::HUGEINT * 9223372036854775808 + call_id)  AS call_id,
        list_sort(list_distinct(flatten(list(DISTINCT sensitivity))))                    AS sensitivity,
        bool_and(is_sensitivity_inferred)                            AS is_inferred
    FROM accesses
    WHERE access <> 'none'
    GROUP BY
        agent,
        resource,
        access
),

-- what it did before on the same resource; an unknown access may have been anything, so nothing is higher than it;
-- materialized, for a filter that is pushed below its windows takes minutes
climbed AS MATERIALIZED (
    SELECT
        *,
        max(rank) OVER earlier                                       AS rank_before,
        coalesce(bool_or(rank IS NULL) OVER earlier, false)          AS is_before_unknown,
        row_number() OVER (PARTITION BY agent, resource ORDER BY first_at, rank, access)  AS nth
    FROM firsts
    WINDOW earlier AS (
        PARTITION BY agent, resource
        ORDER BY first_at, rank, access
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
),

grown AS MATERIALIZED (
    SELECT
        climbed.*,
        CASE
            WHEN nth = 1 THEN 'new resource'
            WHEN rank_before <= 3 AND rank >= 4 THEN 'read to write'
            ELSE 'higher access'
        END  AS change
    FROM climbed
    WHERE nth = 1
        OR (rank > rank_before AND NOT is_before_unknown)
),

-- of a new resource all units of the agent tell, of a new access those that touched the resource
touched AS (
    SELECT
        agent,
        resource,
        count_units(unit_no)  AS units
    FROM accesses
    WHERE access <> 'none'
    GROUP BY
        agent,
        resource
),

climbs AS (
    SELECT
        grown.agent,
        grown.resource,
        grown.access,
        count_units(
            CASE
                WHEN list_position(['none', 'read', 'execute', 'write', 'delete', 'admin'], accesses.access) >= grown.rank
                THEN accesses.unit_no
            END
        )                                                            AS uses,
        count_units(CASE WHEN accesses.started_at < grown.first_at THEN accesses.unit_no END)
            -- The unit that did it may have touched the resource before.
            - max((accesses.started_at < grown.first_at AND accesses.unit_no = begun.unit_no)::INTEGER)  AS before
    FROM grown
    INNER JOIN accesses AS begun
        ON begun.call_id = grown.call_id
        AND begun.resource = grown.resource
        AND begun.access = grown.access
    INNER JOIN accesses
        ON accesses.agent = grown.agent
        AND accesses.resource = grown.resource
    WHERE grown.nth > 1
        AND accesses.access <> 'none'
    GROUP BY
        grown.agent,
        grown.resource,
        grown.access
),

events AS (
    SELECT
        grown.agent,
        grown.change,
        grown.resource,
        NULL::VARCHAR                                                AS other_resource,
        grown.access,
        ['none', 'read', 'execute', 'write', 'delete', 'admin'][grown.rank_before]  AS before_access,
        grown.first_at,
        grown.call_id,
        grown.sensitivity,
        grown.is_inferred,
        coalesce(climbs.uses, touched.units)                         AS uses,
        CASE WHEN climbs.agent IS NOT NULL THEN touched.units END    AS touching_units,
        climbs.before                                                AS touching_before
    FROM grown
    INNER JOIN touched
        ON touched.agent = grown.agent
        AND touched.resource = grown.resource
    LEFT JOIN climbs
        ON climbs.agent = grown.agent
        AND climbs.resource = grown.resource
        AND climbs.access = grown.access
    UNION ALL BY NAME
    SELECT
        agent,
        'sensitive join'                                             AS change,
        resource,
        other_resource,
        min(started_at)                                              AS first_at,
        arg_min(call_id, epoch_us(started_at)::HUGEINT * 9223372036854775808 + call_id)  AS call_id,
        list_sort(list_distinct(flatten(list(DISTINCT sensitivity))))                    AS sensitivity,
        bool_and(is_inferred)                                        AS is_inferred,
        count_units(unit_no)                                         AS uses
    FROM sensitive_pairs
    GROUP BY
        agent,
        resource,
        other_resource
),

-- versions of a service in an agent's work, in the order they came
versions AS (
    SELECT
        *,
        lag(service_version) OVER (PARTITION BY agent, service ORDER BY version_since, service_version)
            AS earlier_version
    FROM (
        SELECT
            coalesce(owner_agent, owner_service, '?')  AS agent,
            owner_service                              AS service,
            service_version,
            min(started_at)                            AS version_since
        FROM calls
        WHERE service_version IS NOT NULL
        GROUP BY ALL
    )
),

dated AS (
    SELECT
        events.*,
        calls.cohort,
        calls.trace_id,
        calls.owner_service    AS service,
        calls.service_version,
        calls.unit_id,
        versions.version_since,
        versions.earlier_version
    FROM events
    INNER JOIN calls
        ON calls.call_id = events.call_id
    LEFT JOIN versions
        ON versions.agent = events.agent
        AND versions.service = calls.owner_service
        AND versions.service_version = calls.service_version
),

-- how many units of its work an agent had begun by a moment: whole days are added up, within a day they are counted
moments AS (
    SELECT
        agent,
        first_at  AS at
    FROM dated
    UNION
    SELECT
        agent,
        version_since
    FROM dated
    WHERE version_since IS NOT NULL
),

days AS (
    SELECT
        agent,
        began_at::DATE   AS day,
        count(*)         AS units,
        min(began_at)    AS began_at
    FROM work
    GROUP BY ALL
),

begun AS (
    SELECT
        moments.agent,
        moments.at,
        coalesce(any_value(earlier.units), 0) + count(work.agent)  AS units
    FROM moments
    LEFT JOIN (
        SELECT
            moments.agent,
            moments.at,
            sum(days.units)::BIGINT  AS units
        FROM moments
        INNER JOIN days
            ON days.agent = moments.agent
            AND days.day < moments.at::DATE
        GROUP BY
            moments.agent,
            moments.at
    ) AS earlier
        ON earlier.agent = moments.agent
        AND earlier.at = moments.at
    LEFT JOIN work
        ON work.agent = moments.agent
        AND work.began_at::DATE = moments.at::DATE
        AND work.began_at < moments.at
    GROUP BY
        moments.agent,
        moments.at
),

watched AS (
    SELECT
        agent,
        min(began_at)        AS watched_since,
        sum(units)::BIGINT   AS units
    FROM days
    GROUP BY agent
)

SELECT
    dated.agent,                                                     -- owner agent, else service
    dated.change,                                                    -- new resource, read to write, higher access, sensitive join
    dated.resource,
    dated.other_resource,                                            -- of a join
    dated.access,
    dated.before_access,                                             -- the most it did there before
    dated.sensitivity,
    dated.is_inferred                              AS is_sensitivity_inferred,
    dated.first_at,
    dated.cohort,                                                    -- of the first
    dated.service,                                                   -- whose span did it first
    dated.service_version,                                           -- of that service
    dated.earlier_version,                                           -- the version it had before in this agent's work
    dated.version_since,
    dated.trace_id                                 AS first_trace_id,
    watched.watched_since,                                           -- when the agent was first seen
    coalesce(dated.touching_units, watched.units)  AS units,         -- that could have shown it
    -- of them, begun before the first that did; that one had begun, too, unless it began with it
    coalesce(
        dated.touching_before,
        at_first.units - (own.began_at < dated.first_at)::INTEGER
    )                                              AS units_before,
    dated.uses,                                                      -- units that did
    coalesce(at_version.units, 0)                  AS units_before_version  -- of the agent, before that version
FROM dated
INNER JOIN watched
    ON watched.agent = dated.agent
INNER JOIN begun AS at_first
    ON at_first.agent = dated.agent
    AND at_first.at = dated.first_at
LEFT JOIN begun AS at_version
    ON at_version.agent = dated.agent
    AND at_version.at = dated.version_since
INNER JOIN work AS own
    ON own.agent = dated.agent
    AND own.cohort = dated.cohort
    AND own.unit_id = dated.unit_id
ORDER BY
    dated.first_at,
    dated.agent,
    dated.change,
    dated.resource,
    dated.other_resource
