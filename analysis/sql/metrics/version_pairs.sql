-- Which version of a caller met which version of its callee?
--
-- unit: calls
-- better: lower
-- grain: cohort, boundary_id, caller_version, callee_version, unit_id

WITH

-- the version that answered, where all that answered one call say the same
served AS (
    SELECT
        groups.group_id,
        min(nodes.service)          AS service,
        min(nodes.service_version)  AS service_version
    FROM groups
    INNER JOIN nodes
        ON nodes.node_id = groups.node_id
    WHERE groups.part IN ('server', 'consumer')
        AND nodes.service_version IS NOT NULL
    GROUP BY groups.group_id
    HAVING min(nodes.service_version) = max(nodes.service_version)
        AND min(nodes.service) = max(nodes.service)
),

-- the unit of what a trace made, where it surely is a part of another
homes AS (
    SELECT
        joins.trace_no,
        min(requests.unit_id)  AS unit_id
    FROM joins
    INNER JOIN requests
        ON requests.trace_no = joins.joined_trace_no
    ANTI JOIN requests AS own
        ON own.trace_no = joins.trace_no
    GROUP BY joins.trace_no
    HAVING min(requests.unit_id) = max(requests.unit_id)
),

met AS (
    SELECT
        calls.* EXCLUDE (unit_id),
        coalesce(homes.unit_id, calls.unit_id)  AS unit_id,
        served.service          AS serving,
        served.service_version  AS callee_version
    FROM calls
    INNER JOIN served
        ON served.group_id = calls.call_id
    LEFT JOIN homes
        ON homes.trace_no = calls.trace_no
    WHERE calls.observed_side = 'both'
        AND calls.service_version IS NOT NULL
        AND calls.owner_service <> served.service
),

-- an hour in which two versions answered at one boundary
hours AS (
    SELECT
        cohort,
        boundary_id,
        time_bucket(INTERVAL 1 HOUR, started_at)  AS hour_at
    FROM met
    GROUP BY ALL
    HAVING min(callee_version) <> max(callee_version)
)

SELECT
    met.cohort,
    met.boundary_id,
    any_value(met.caller) || ' → ' || any_value(met.callee)  AS boundary,
    any_value(met.owner_service)                      AS caller_service,
    met.service_version                               AS caller_version,
    any_value(met.serving)                            AS callee_service,
    met.callee_version,
    met.unit_id,                                      -- conversation, else trace
    count(*)                                          AS calls,
    count(*) FILTER (met.is_error)                    AS failed,
    sum(met.weight)                                   AS weighed,         -- calls these stand for, where traces were sampled
    coalesce(sum(met.weight) FILTER (met.is_error), 0.0)  AS weighed_failed,
    count(hours.hour_at)                              AS mixed_calls,     -- in an hour when another version answered here, too
    min(hours.hour_at)                                AS first_mixed_at,
    max(hours.hour_at)                                AS last_mixed_at,
    min(met.started_at)                               AS first_at,
    max(met.started_at)                               AS last_at,
    min_by(met.trace_id, (met.started_at, met.call_id))  AS first_trace_id
FROM met
LEFT JOIN hours
    ON hours.cohort = met.cohort
    AND hours.boundary_id = met.boundary_id
    AND hours.hour_at = time_bucket(INTERVAL 1 HOUR, met.started_at)
GROUP BY
    met.cohort,
    met.boundary_id,
    met.service_version,
    met.callee_version,
    met.unit_id
ORDER BY
    met.cohort,
    met.boundary_id,
    caller_version,
    met.callee_version,
    met.unit_id
