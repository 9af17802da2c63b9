-- Which version of a caller met which version of its callee, and how often did it fail?
--
-- unit: calls
-- better: lower
-- grain: cohort, boundary_id, caller_version, callee_version, unit_calls, unit_failed, unit_weighed

WITH

met AS (
    SELECT *
    FROM calls
    WHERE callee_version IS NOT NULL
        AND service_version IS NOT NULL
),

by_hour AS (
    SELECT
        cohort,
        boundary_id,
        service_version                           AS caller_version,
        callee_version,
        time_bucket(INTERVAL 1 HOUR, started_at)  AS hour_at,
        any_value(caller) || ' → ' || any_value(callee)  AS boundary,
        any_value(owner_service)                  AS caller_service,
        any_value(callee_service)                 AS callee_service,
        count(*)                                  AS calls,
        min(started_at)                           AS first_at,
        max(started_at)                           AS last_at,
        arg_min(trace_id, epoch_us(started_at)::HUGEINT * 9223372036854775808 + call_id)  AS first_trace_id
    FROM met
    GROUP BY ALL
),

-- an hour in which two versions answered at one boundary
pairs AS (
    SELECT
        cohort,
        boundary_id,
        caller_version,
        callee_version,
        any_value(boundary)                       AS boundary,
        any_value(caller_service)                 AS caller_service,
        any_value(callee_service)                 AS callee_service,
        coalesce(sum(calls) FILTER (is_mixed), 0)::BIGINT  AS mixed_calls,
        min(hour_at) FILTER (is_mixed)            AS first_mixed_at,
        max(hour_at) FILTER (is_mixed)            AS last_mixed_at,
        min(first_at)                             AS first_at,
        max(last_at)                              AS last_at,
        arg_min(first_trace_id, (first_at, first_trace_id))  AS first_trace_id
    FROM (
        SELECT
            *,
            min(callee_version) OVER here <> max(callee_version) OVER here  AS is_mixed
        FROM by_hour
        WINDOW here AS (PARTITION BY cohort, boundary_id, hour_at)
    )
    GROUP BY
        cohort,
        boundary_id,
        caller_version,
        callee_version
),

-- units that called as often and failed as often tell the same
sizes AS (
    SELECT
        cohort,
        boundary_id,
        caller_version,
        callee_version,
        calls            AS unit_calls,
        failed           AS unit_failed,
        weighed          AS unit_weighed,
        weighed_failed   AS unit_weighed_failed,
        count(*)         AS units
    FROM (
        SELECT
            cohort,
            boundary_id,
            service_version                                   AS caller_version,
            callee_version,
            unit_no,
            count(*)                                          AS calls,
            count(*) FILTER (is_error)                        AS failed,
            sum(weight)                                       AS weighed,
            coalesce(sum(weight) FILTER (is_error), 0.0)      AS weighed_failed
        FROM met
        GROUP BY ALL
    )
    GROUP BY ALL
)

SELECT
    sizes.*,                   -- how many units called so often, and failed so often
    pairs.boundary,
    pairs.caller_service,
    pairs.callee_service,
    pairs.mixed_calls,         -- of the pair, in an hour when another version answered here, too
    pairs.first_mixed_at,
    pairs.last_mixed_at,
    pairs.first_at,
    pairs.last_at,
    pairs.first_trace_id
FROM sizes
INNER JOIN pairs
    ON pairs.cohort = sizes.cohort
    AND pairs.boundary_id = sizes.boundary_id
    AND pairs.caller_version = sizes.caller_version
    AND pairs.callee_version = sizes.callee_version
ORDER BY
    sizes.cohort,
    sizes.boundary_id,
    sizes.caller_version,
    sizes.callee_version,
    sizes.unit_calls,
    sizes.unit_failed,
    sizes.unit_weighed,
    sizes.unit_weighed_failed
