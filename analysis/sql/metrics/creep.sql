-- What did an agent touch for the first time, and after how much work without it?
--
-- unit: changes
-- better: lower
-- grain: agent, resource, other_resource, access, change

WITH

-- the unit of what a trace made: its own request's, or that of the trace it surely is a part of
homes AS (
    SELECT
        joins.trace_no,
        min(joins.joined_trace_no)  AS home_no,
        min(requests.unit_id)       AS unit_id
    FROM joins
    INNER JOIN requests
        ON requests.trace_no = joins.joined_trace_no
    ANTI JOIN requests AS own
        ON own.trace_no = joins.trace_no
    GROUP BY joins.trace_no
    HAVING min(requests.unit_id) = max(requests.unit_id)
        AND min(joins.joined_trace_no) = max(joins.joined_trace_no)
),

made AS MATERIALIZED (
    SELECT
        calls.call_id,
        calls.cohort,
        coalesce(calls.owner_agent, calls.owner_service, '?')  AS agent,
        coalesce(homes.unit_id, calls.unit_id)                 AS unit_id,
        coalesce(homes.home_no, calls.trace_no)                AS home_no,
        calls.owner_service                                    AS service,
        calls.service_version,
        calls.started_at
    FROM calls
    LEFT JOIN homes
        ON homes.trace_no = calls.trace_no
),

-- one row an agent and unit, in order of time: the cohorts of a lake are one history
worked AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY agent ORDER BY began_at, cohort, unit_id)  AS place
    FROM (
        SELECT
            agent,
            cohort,
            unit_id,
            min(started_at)  AS began_at
        FROM made
        GROUP BY
            agent,
            cohort,
            unit_id
    )
),

watched AS (
    SELECT
        agent,
        min(began_at)  AS watched_since,
        count(*)       AS units
    FROM worked
    GROUP BY agent
),

-- versions of a service in an agent's work, in the order they came
versions AS (
    SELECT
        *,
        lag(service_version) OVER (PARTITION BY agent, service ORDER BY version_since, service_version)
            AS earlier_version
    FROM (
        SELECT
            agent,
            service,
            service_version,
            min(started_at)  AS version_since
        FROM made
        WHERE service_version IS NOT NULL
        GROUP BY
            agent,
            service,
            service_version
    )
),

touches AS (
    SELECT
        accesses.agent,
        accesses.resource,
        accesses.access,
        nullif(list_position(['none', 'read', 'execute', 'write', 'delete', 'admin'], accesses.access), 0)
                                                     AS rank,   -- null: unknown
        accesses.sensitivity,
        accesses.is_sensitivity_inferred,
        accesses.service,
        accesses.started_at,
        accesses.call_id,
        accesses.trace_id,
        accesses.cohort,
        made.service_version,
        made.home_no,
        worked.place
    FROM accesses
    INNER JOIN made
        ON made.call_id = accesses.call_id
    INNER JOIN worked
        ON worked.agent = accesses.agent
        AND worked.cohort = made.cohort
        AND worked.unit_id = made.unit_id
    WHERE accesses.access <> 'none'
),

-- one row a unit and thing done: the units that touched a resource count beside the agent's
steps AS (
    SELECT
        agent,
        resource,
        access,
        rank,
        place,
        min(started_at)                                              AS seen_at,
        arg_min(
            {
                'cohort': cohort, 'trace_id': trace_id, 'service': service, 'version': service_version,
                'call_id': call_id
            },
            (started_at, call_id)
        )                                                            AS earliest,
        list_distinct(flatten(list(sensitivity)))                    AS sensitivity,
        bool_and(is_sensitivity_inferred)                            AS is_inferred
    FROM touches
    GROUP BY
        agent,
        resource,
        access,
        rank,
        place
),

firsts AS (
    SELECT
        agent,
        resource,
        access,
        rank,
        min(seen_at)                                                      AS first_at,
        arg_min(earliest, (seen_at, earliest.call_id))                    AS earliest,
        list_sort(list_distinct(flatten(list(sensitivity))))         AS sensitivity,
        bool_and(is_inferred)                                        AS is_inferred
    FROM steps
    GROUP BY
        agent,
        resource,
        access,
        rank
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

grown AS (
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
told_grown AS (
    SELECT
        grown.agent,
        grown.change,
        grown.resource,
        NULL::VARCHAR                                                AS other_resource,
        grown.access,
        any_value(['none', 'read', 'execute', 'write', 'delete', 'admin'][grown.rank_before])  AS before_access,
        any_value(grown.first_at)                                    AS first_at,
        any_value(grown.earliest)                                    AS earliest,
        any_value(grown.sensitivity)                                 AS sensitivity,
        any_value(grown.is_inferred)                                 AS is_inferred,
        CASE WHEN grown.change <> 'new resource' THEN count(DISTINCT steps.place) END  AS touching_units,
        count(DISTINCT steps.place)
            FILTER (grown.change = 'new resource' OR steps.rank >= grown.rank)  AS uses,
        min(steps.place)
            FILTER (grown.change = 'new resource' OR steps.rank >= grown.rank)  AS first_place,
        list(DISTINCT steps.place) FILTER (grown.change <> 'new resource')      AS places
    FROM grown
    INNER JOIN steps
        ON steps.agent = grown.agent
        AND steps.resource = grown.resource
    GROUP BY
        grown.agent,
        grown.change,
        grown.resource,
        grown.access
),

-- A tool above a table is the same data by another name: only what has no access below it is joined.
passed AS (
    SELECT DISTINCT groups.group_id AS call_id
    FROM calls
    INNER JOIN groups
        ON groups.node_id = calls.caller_id
    SEMI JOIN accesses
        ON accesses.call_id = calls.call_id
    WHERE groups.group_id <> calls.call_id
),

-- one row a trace, with what surely belongs to it, and sensitive resource at the end of a way
sensitive AS (
    SELECT
        agent,
        home_no,
        resource,
        any_value(place)                                             AS place,
        min(started_at)                                              AS seen_at,
        arg_min(
            {
                'cohort': cohort, 'trace_id': trace_id, 'service': service, 'version': service_version,
                'call_id': call_id
            },
            (started_at, call_id)
        )                                                            AS earliest,
        list_distinct(flatten(list(sensitivity)))                    AS sensitivity,
        bool_and(is_sensitivity_inferred)                            AS is_inferred
    FROM touches
    ANTI JOIN passed
        ON passed.call_id = touches.call_id
    WHERE len(list_filter(sensitivity, lambda tag: tag NOT IN ('public', 'internal'))) > 0
    GROUP BY
        agent,
        home_no,
        resource
),

-- Joined is dated by the later of the two.
joined AS (
    SELECT
        one.agent,
        one.resource,
        other.resource                                               AS other_resource,
        one.place,
        greatest(one.seen_at, other.seen_at)                                   AS seen_at,
        CASE WHEN one.seen_at > other.seen_at THEN one.earliest ELSE other.earliest END  AS earliest,
        list_distinct(one.sensitivity || other.sensitivity)          AS sensitivity,
        one.is_inferred OR other.is_inferred                         AS is_inferred
    FROM sensitive AS one
    INNER JOIN sensitive AS other
        ON other.agent = one.agent
        AND other.home_no = one.home_no
        AND other.resource > one.resource
),

events AS (
    SELECT
        agent,
        change,
        resource,
        other_resource,
        access,
        before_access,
        first_at,
        earliest,
        sensitivity,
        is_inferred,
        uses,
        first_place,
        touching_units,
        CASE
            WHEN touching_units IS NOT NULL
            THEN len(list_filter(places, lambda place: place < first_place))
        END                                                          AS touching_before
    FROM told_grown
    UNION ALL BY NAME
    SELECT
        agent,
        'sensitive join'                                             AS change,
        resource,
        other_resource,
        min(seen_at)                                                      AS first_at,
        arg_min(earliest, (seen_at, earliest.call_id))                    AS earliest,
        list_sort(list_distinct(flatten(list(sensitivity))))         AS sensitivity,
        bool_and(is_inferred)                                        AS is_inferred,
        count(DISTINCT place)                                        AS uses,
        min(place)                                                   AS first_place
    FROM joined
    GROUP BY
        agent,
        resource,
        other_resource
),

dated AS (
    SELECT
        events.*,
        watched.watched_since,
        watched.units,
        versions.version_since,
        versions.earlier_version
    FROM events
    INNER JOIN watched
        ON watched.agent = events.agent
    LEFT JOIN versions
        ON versions.agent = events.agent
        AND versions.service = events.earliest.service
        AND versions.service_version = events.earliest.version
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
    dated.earliest.cohort                          AS cohort,        -- of the first
    dated.earliest.service                         AS service,       -- whose span did it first
    dated.earliest.version                         AS service_version,  -- of that service
    dated.earlier_version,                                           -- the version it had before in this agent's work
    dated.version_since,
    dated.earliest.trace_id                        AS first_trace_id,
    dated.watched_since,                                             -- when the agent was first seen
    coalesce(dated.touching_units, dated.units)    AS units,         -- that could have shown it
    coalesce(dated.touching_before, dated.first_place - 1)  AS units_before,  -- of them, before the first that did
    dated.uses,                                                      -- units that did
    coalesce(earlier.place - 1, 0)                 AS units_before_version  -- of the agent, before that version
FROM dated
LEFT JOIN (
    -- the first unit of each agent that began with, or after, a version
    SELECT
        versions.agent,
        versions.version_since,
        min(worked.place)  AS place
    FROM versions
    INNER JOIN worked
        ON worked.agent = versions.agent
        AND worked.began_at >= versions.version_since
    GROUP BY
        versions.agent,
        versions.version_since
) AS earlier
    ON earlier.agent = dated.agent
    AND earlier.version_since = dated.version_since
ORDER BY
    dated.first_at,
    dated.agent,
    dated.change,
    dated.resource,
    dated.other_resource
