-- What did requests wait for at each handoff: the callee's work, or the way to it and back?
--
-- unit: ms
-- better: lower
-- grain: cohort, operation, outer_boundary_id, boundary_id, bucket

WITH

known AS (
    SELECT
        request_id,
        cohort,
        operation,
        'service:' || coalesce(service, '?')  AS place,
        weight,
        bucket
    FROM requests
),

named AS (
    SELECT
        boundary_id,
        any_value(caller)  AS caller_place,
        -- who does the work: a service by its name, else the callee itself
        mode(
            CASE
                WHEN kind IN ('service', 'ui') AND callee_service IS NOT NULL THEN 'service:' || callee_service
                ELSE callee
            END
        )                  AS place
    FROM calls
    GROUP BY boundary_id
),

of_calls AS (
    SELECT
        known.cohort,
        known.operation,
        calls.outer_boundary_id,
        calls.boundary_id,
        known.bucket,
        count(*)                                AS calls,
        sum(known.weight)                       AS weighed_calls,
        sum(known.weight * calls.path_work_ns)  AS work_ns,
        sum(known.weight * calls.path_way_ns)   AS way_ns
    FROM calls
    INNER JOIN known
        ON known.request_id = calls.request_id
    GROUP BY
        known.cohort,
        known.operation,
        calls.outer_boundary_id,
        calls.boundary_id,
        known.bucket
),

-- the entry's own work; there is a row a request, so that its count is the requests'
of_entries AS (
    SELECT
        known.cohort,
        known.operation,
        known.bucket,
        mode(known.place)                 AS place,
        count(*)                          AS calls,
        sum(known.weight)                 AS weighed_calls,
        sum(known.weight * own.self_ns)   AS work_ns
    FROM known
    LEFT JOIN (
        SELECT
            request_id,
            sum(self_ns)::BIGINT  AS self_ns
        FROM critical_path
        WHERE call_id IS NULL
        GROUP BY request_id
    ) AS own
        ON own.request_id = known.request_id
    GROUP BY
        known.cohort,
        known.operation,
        known.bucket
)

SELECT
    of_calls.cohort,
    of_calls.operation,
    of_calls.outer_boundary_id,                            -- the handoff that this one was made in; null: the entry
    of_calls.boundary_id,                                  -- null: the entry's own work
    of_calls.bucket,                                       -- hash of the unit, 0 to 99, for the bootstrap
    named.caller_place,
    named.place,                                           -- who works there: a service, an agent, a model ...
    of_calls.calls,
    of_calls.weighed_calls,                                -- calls these stand for, where traces were sampled
    coalesce(of_calls.work_ns, 0) / 1e6  AS work_ms,       -- on the critical path, of the callee's side
    coalesce(of_calls.way_ns, 0) / 1e6   AS handoff_ms     -- on the critical path, between caller and callee
FROM of_calls
LEFT JOIN named
    ON named.boundary_id = of_calls.boundary_id
UNION ALL BY NAME
SELECT
    cohort,
    operation,
    bucket,
    place,
    calls,
    weighed_calls,
    coalesce(work_ns, 0) / 1e6  AS work_ms,
    0.0                         AS handoff_ms
FROM of_entries
ORDER BY
    cohort,
    operation,
    outer_boundary_id,
    boundary_id,
    bucket
