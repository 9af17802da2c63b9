-- What did an agent touch for the first time, and after how much work without it?
--
-- unit: changes
-- better: lower
-- grain: agent, resource, other_resource, access, change

WITH

begun_touches AS MATERIALIZED (
    SELECT
        access_no,
        min(started_at)  AS first_at
    FROM accesses
    GROUP BY access_no
),

-- one number an agent and resource
things AS MATERIALIZED (
    SELECT
        touches.*,
        begun_touches.first_at,
        (dense_rank() OVER (ORDER BY touches.agent, touches.resource))::INTEGER                            AS thing_no,
        nullif(list_position(['none', 'read', 'execute', 'write', 'delete', 'admin'], touches.access), 0)  AS rank
    FROM touches
    INNER JOIN begun_touches
        ON begun_touches.access_no = touches.access_no
    WHERE touches.access <> 'none'
),

-- one row a thing done on a resource; the cohorts of a lake are one history
done AS (
    SELECT
        thing_no,
        agent,
        resource,
        access,
        rank,                                                                              -- null: unknown
        min(first_at)                                                    AS first_at,
        list_sort(list_distinct(flatten(list(sensitivity))))             AS sensitivity,
        bool_and(is_sensitivity_inferred)                                AS is_inferred
    FROM things
    GROUP BY
        thing_no,
        agent,
        resource,
        access,
        rank
),

firsts AS MATERIALIZED (
    SELECT
        done.*,
        found.call_id,
        found.unit_no
    FROM done
    INNER JOIN (
        SELECT
            things.thing_no,
            things.access,
            min(accesses.call_id)                         AS call_id,
            arg_min(accesses.unit_no, accesses.call_id)   AS unit_no
        FROM accesses
        INNER JOIN things
            ON things.access_no = accesses.access_no
            AND things.first_at = accesses.started_at
        INNER JOIN done
            ON done.thing_no = things.thing_no
            AND done.access = things.access
            AND done.first_at = things.first_at
        GROUP BY
            things.thing_no,
            things.access
    ) AS found
        ON found.thing_no = done.thing_no
        AND found.access = done.access
),

-- what it did before on the same resource; an unknown access may have been anything, so nothing is higher than it;
-- materialized, for a filter that is pushed below its windows takes minutes
climbed AS MATERIALIZED (
    SELECT
        *,
        max(rank) OVER earlier                                       AS rank_before,
        coalesce(bool_or(rank IS NULL) OVER earlier, false)          AS is_before_unknown,
        row_number() OVER (PARTITION BY thing_no ORDER BY first_at, rank, access)  AS nth
    FROM firsts
    WINDOW earlier AS (
        PARTITION BY thing_no
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
        things.thing_no,
        count_units(accesses.unit_no)  AS units
    FROM accesses
    INNER JOIN things
        ON things.access_no = accesses.access_no
    GROUP BY things.thing_no
),

-- how often the units that touched a resource went so far
climbs AS (
    SELECT
        grown.thing_no,
        grown.access,
        count_units(CASE WHEN things.rank >= grown.rank THEN accesses.unit_no END)            AS uses,
        count_units(CASE WHEN accesses.started_at < grown.first_at THEN accesses.unit_no END)
            -- The unit that did it may have touched the resource before.
            - max((accesses.started_at < grown.first_at AND accesses.unit_no = grown.unit_no)::INTEGER)  AS before
    FROM grown
    INNER JOIN things
        ON things.thing_no = grown.thing_no
    INNER JOIN accesses
        ON accesses.access_no = things.access_no
    WHERE grown.nth > 1
    GROUP BY
        grown.thing_no,
        grown.access
),

events AS MATERIALIZED (
    SELECT
        thing_no,
        agent,
        change,
        resource,
        NULL::VARCHAR                                                AS other_resource,
        access,
        ['none', 'read', 'execute', 'write', 'delete', 'admin'][rank_before]  AS before_access,
        first_at,
        call_id,
        sensitivity,
        is_inferred,
        NULL::BIGINT                                                 AS uses
    FROM grown
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
            workers.agent,
            workers.owner_service        AS service,
            workers.service_version,
            min(begun_work.started_at)   AS version_since
        FROM (
            SELECT
                worker_no,
                min(started_at)  AS started_at
            FROM calls
            GROUP BY worker_no
        ) AS begun_work
        INNER JOIN workers
            ON workers.worker_no = begun_work.worker_no
        WHERE service_version IS NOT NULL
        GROUP BY ALL
    )
),

-- Grouped, though each is one row: so the planner knows how few they are.
first_calls AS MATERIALIZED (
    SELECT
        call_id,
        trace_no,
        unit_no,
        worker_no
    FROM calls
    SEMI JOIN (
        SELECT min(call_id)  AS call_id
        FROM events
        GROUP BY
            agent,
            change,
            resource,
            other_resource,
            access
    ) AS few
        ON few.call_id = calls.call_id
),

dated AS MATERIALIZED (
    SELECT
        events.*,
        workers.cohort,
        first_calls.trace_no,
        first_calls.unit_no,
        workers.owner_service  AS service,
        workers.service_version,
        versions.version_since,
        versions.earlier_version,
        touched.units          AS touched_units,
        climbs.uses            AS climbing_units,
        climbs.before          AS climbing_before
    FROM events
    INNER JOIN first_calls
        ON first_calls.call_id = events.call_id
    INNER JOIN workers
        ON workers.worker_no = first_calls.worker_no
    LEFT JOIN touched
        ON touched.thing_no = events.thing_no
    LEFT JOIN climbs
        ON climbs.thing_no = events.thing_no
        AND climbs.access = events.access
    LEFT JOIN versions
        ON versions.agent = events.agent
        AND versions.service = workers.owner_service
        AND versions.service_version = workers.service_version
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
    traces.trace_id                                AS first_trace_id,
    watched.watched_since,                                           -- when the agent was first seen
    -- that could have shown it
    CASE WHEN dated.climbing_units IS NULL THEN watched.units ELSE dated.touched_units END  AS units,
    -- of them, begun before the first that did; that one had begun, too, unless it began with it
    coalesce(
        dated.climbing_before,
        at_first.units - (own.began_at < dated.first_at)::INTEGER
    )                                              AS units_before,
    coalesce(dated.uses, dated.climbing_units, dated.touched_units)  AS uses,  -- units that did
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
    AND own.unit_no = dated.unit_no
INNER JOIN traces
    ON traces.trace_no = dated.trace_no
ORDER BY
    dated.first_at,
    dated.agent,
    dated.change,
    dated.resource,
    dated.other_resource
