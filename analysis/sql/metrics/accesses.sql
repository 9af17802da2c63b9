-- Who touches which data, and how?
--
-- unit: calls
-- better: lower
-- grain: cohort, agent, resource, access

WITH

-- the unit and turn of what a trace made: its own request's, or those of the trace it surely is a part of
homes AS (
    SELECT
        trace_no,
        min(unit_id)  AS unit_id,
        CASE
            WHEN count(*) = 1 AND min(turn_index) IS NOT NULL
            THEN hash(min(conversation_id), min(turn_index))
        END           AS turn_no
    FROM (
        SELECT
            trace_no,
            unit_id,
            conversation_id,
            turn_index
        FROM requests
        UNION ALL
        SELECT
            parts.trace_no,
            requests.unit_id,
            requests.conversation_id,
            requests.turn_index
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

touched AS (
    SELECT
        accesses.*,
        -- distinct numbers are counted faster than texts
        hash(coalesce(homes.unit_id, calls.unit_id))  AS unit_no,
        hash(accesses.trace_id)                       AS trace_hash,
        homes.turn_no,
        calls.weight,
        calls.service_version
    FROM accesses
    LEFT JOIN calls
        ON calls.call_id = accesses.call_id
    LEFT JOIN homes
        ON homes.trace_no = calls.trace_no
),

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
        FROM touched
        GROUP BY ALL
    )
    GROUP BY ALL
)

SELECT
    touched.cohort,
    touched.agent,                               -- owner agent, else service
    touched.resource,
    touched.access,                              -- none, read, execute, write, delete, admin, unknown
    any_value(touched.kind)                      AS kind,
    count(DISTINCT touched.call_id)              AS calls,
    count(DISTINCT touched.call_id) FILTER (touched.is_error)  AS failed,
    sum(touched.rows)::BIGINT                    AS rows,      -- rows returned, where the span says it
    count(DISTINCT touched.trace_hash)           AS traces,
    count(DISTINCT touched.unit_no)              AS units,     -- conversations, else traces
    any_value(weighed.units)                     AS weighed_units,  -- units these stand for, where traces were sampled
    count(DISTINCT touched.turn_no)              AS turns,     -- of conversations; none where no conversation is told
    min(touched.started_at)                      AS first_at,
    max(touched.started_at)                      AS last_at,
    min_by(touched.trace_id, (touched.started_at, touched.call_id))  AS first_trace_id,
    min_by(touched.service_version, (touched.started_at, touched.call_id))  AS first_version,  -- of the service that was first
    list_sort(list_distinct(flatten(list(touched.sensitivity))))  AS sensitivity,  -- declared tags, else hints from the name
    bool_and(touched.is_sensitivity_inferred)    AS is_sensitivity_inferred
FROM touched
INNER JOIN weighed
    ON weighed.cohort = touched.cohort
    AND weighed.agent = touched.agent
    AND weighed.resource = touched.resource
    AND weighed.access = touched.access
GROUP BY
    touched.cohort,
    touched.agent,
    touched.resource,
    touched.access
ORDER BY
    touched.cohort,
    touched.agent,
    touched.resource,
    touched.access
