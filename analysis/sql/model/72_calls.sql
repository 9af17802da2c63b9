-- calls: one row a boundary instance, with its place among the others and on its request's critical path.

CREATE OR REPLACE TABLE calls AS
WITH

-- Where both sides are seen, what the caller's side waits for is the way; all else is the callee's work.
waited AS (
    SELECT
        critical_path.call_id,
        sum(CASE WHEN ways.node_id IS NULL THEN critical_path.self_ns END)::BIGINT      AS path_work_ns,
        sum(CASE WHEN ways.node_id IS NOT NULL THEN critical_path.self_ns END)::BIGINT  AS path_way_ns,
        max(
            CASE
                WHEN critical_path.node_id = critical_path.call_id
                THEN critical_path.until_ns - critical_path.from_ns
            END
        )                                                                               AS path_ns
    FROM critical_path
    LEFT JOIN (
        SELECT
            groups.node_id,
            groups.group_id
        FROM groups
        INNER JOIN bare_calls
            ON bare_calls.call_id = groups.group_id
        WHERE groups.part <> 'server'
            AND bare_calls.server_ms IS NOT NULL
    ) AS ways
        ON ways.node_id = critical_path.node_id
        AND ways.group_id = critical_path.call_id
    WHERE critical_path.call_id IS NOT NULL
    GROUP BY critical_path.call_id
),

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

-- A call by the same caller that follows one that failed is the next try of the same logical call.
again AS (
    SELECT
        bare_calls.call_id,
        bare_calls.start_ns - lag(bare_calls.end_ns) OVER alike  AS since_failed_ns
    FROM bare_calls
    SEMI JOIN (
        SELECT
            caller_id,
            boundary_id
        FROM bare_calls
        WHERE is_error
    ) AS failing
        ON failing.caller_id = bare_calls.caller_id
        AND failing.boundary_id = bare_calls.boundary_id
    WINDOW alike AS (
        PARTITION BY bare_calls.caller_id, bare_calls.boundary_id
        ORDER BY bare_calls.start_ns, bare_calls.call_id
    )
    QUALIFY lag(bare_calls.is_error) OVER alike
        AND lag(bare_calls.end_ns) OVER alike <= bare_calls.start_ns
)

SELECT
    bare_calls.* EXCLUDE (root_id)
        -- Whose request it is, its entry tells where the call does not.
        REPLACE (coalesce(bare_calls.tenant, entries.tenant) AS tenant),
    bare_calls.root_id        AS request_id,           -- of the tree it is in, whether or not that is one
    nullif(above.call_id, bare_calls.call_id)  AS outer_call_id,  -- the handoff it was made in
    above.boundary_id         AS outer_boundary_id,
    again.since_failed_ns,                             -- pause after the try before; null: no retry
    waited.path_ns,                                    -- on the critical path, all below it included; null: not on it
    waited.path_work_ns,                               -- of it its own, on the callee's side
    waited.path_way_ns,                                -- and between the two
    CASE
        WHEN bare_calls.observed_side = 'both' AND bare_calls.owner_service <> served.service
        THEN served.service_version
    END                       AS callee_version,       -- of the other service that answered
    -- told by whole/05_numbers.sql
    NULL::INTEGER             AS boundary_no,
    NULL::INTEGER             AS worker_no,
    NULL::INTEGER             AS unit_no,
    NULL::UTINYINT            AS bucket
FROM bare_calls
LEFT JOIN entries
    ON entries.request_id = bare_calls.root_id
LEFT JOIN groups AS outer_groups
    ON outer_groups.node_id = bare_calls.caller_id
LEFT JOIN bare_calls AS above
    ON above.call_id = outer_groups.group_id
LEFT JOIN again
    ON again.call_id = bare_calls.call_id
LEFT JOIN waited
    ON waited.call_id = bare_calls.call_id
LEFT JOIN served
    ON served.group_id = bare_calls.call_id
-- Most questions ask boundary by boundary: one that asks of one alone skips the others.
ORDER BY
    bare_calls.cohort,
    bare_calls.boundary_id,
    bare_calls.start_ns;
