-- What did requests wait for at each handoff: the callee's work, or the way to it and back?
--
-- unit: ms
-- better: lower
-- grain: cohort, operation, outer_boundary_id, boundary_id, bucket

WITH

-- `place` is who does the work: a service by its name, else the callee itself
entered AS (
    SELECT
        calls.call_id,
        calls.boundary_id,
        nodes.root_id                         AS request_id,
        above.boundary_id                     AS outer_boundary_id,
        calls.caller                          AS caller_place,
        CASE
            WHEN calls.kind IN ('service', 'ui') AND calls.callee_service IS NOT NULL
            THEN 'service:' || calls.callee_service
            ELSE calls.callee
        END                                   AS place,
        calls.server_ms IS NOT NULL           AS is_server_seen
    FROM calls
    INNER JOIN nodes
        ON nodes.node_id = calls.call_id
    LEFT JOIN groups
        ON groups.node_id = calls.caller_id
    LEFT JOIN calls AS above
        ON above.call_id = groups.group_id
),

-- where both sides are seen, what the caller's side waits for is the way; all else is work
waited AS (
    SELECT
        critical_path.request_id,
        critical_path.call_id,
        sum(critical_path.self_ns) FILTER (NOT handing.is_way) / 1e6  AS work_ms,
        sum(critical_path.self_ns) FILTER (handing.is_way) / 1e6      AS handoff_ms
    FROM critical_path
    LEFT JOIN groups
        ON groups.node_id = critical_path.node_id
    LEFT JOIN entered
        ON entered.call_id = critical_path.call_id
    CROSS JOIN LATERAL (
        SELECT coalesce(
            entered.is_server_seen AND groups.group_id = critical_path.call_id AND groups.part <> 'server',
            false
        )  AS is_way
    ) AS handing
    GROUP BY
        critical_path.request_id,
        critical_path.call_id
),

known AS (
    SELECT
        *,
        (hash(unit_id) % 100)::INTEGER  AS bucket
    FROM requests
),

told AS (
    SELECT
        known.cohort,
        known.operation,
        known.bucket,
        known.unit_id,
        known.weight,
        entered.outer_boundary_id,
        entered.boundary_id,
        entered.caller_place,
        entered.place,
        waited.work_ms,
        waited.handoff_ms
    FROM entered
    INNER JOIN known
        ON known.request_id = entered.request_id
    LEFT JOIN waited
        ON waited.request_id = entered.request_id
        AND waited.call_id = entered.call_id
    UNION ALL BY NAME
    -- the entry's own work; there is a row a request, so that its count is the requests'
    SELECT
        known.cohort,
        known.operation,
        known.bucket,
        known.unit_id,
        known.weight,
        'service:' || coalesce(known.service, '?')  AS place,
        waited.work_ms
    FROM known
    LEFT JOIN waited
        ON waited.request_id = known.request_id
        AND waited.call_id IS NULL
)

SELECT
    cohort,
    operation,
    outer_boundary_id,                                                -- the handoff that this one was made in; null: the entry
    boundary_id,                                                      -- null: the entry's own work
    bucket,                                                           -- hash of the unit, 0 to 99, for the bootstrap
    any_value(caller_place)                    AS caller_place,
    mode(place)                                AS place,              -- who works there: a service, an agent, a model ...
    count(*)                                   AS calls,
    count(DISTINCT unit_id)                    AS units,              -- conversations, else traces; a unit has one bucket
    sum(weight)                                AS weighed_calls,      -- calls these stand for, where traces were sampled
    coalesce(sum(weight * work_ms), 0.0)       AS work_ms,            -- on the critical path, of the callee's side
    coalesce(sum(weight * handoff_ms), 0.0)    AS handoff_ms          -- on the critical path, between caller and callee
FROM told
GROUP BY
    cohort,
    operation,
    outer_boundary_id,
    boundary_id,
    bucket
ORDER BY
    cohort,
    operation,
    outer_boundary_id,
    boundary_id,
    bucket
