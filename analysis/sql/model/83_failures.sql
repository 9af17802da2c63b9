-- failures: one row a failing unit, where it began and how far it went (METHODS.md and BOUNDARIES.md, errors).

CREATE OR REPLACE TEMP TABLE chains AS
SELECT
    links.unit_id,
    walked.top_id,
    walked.weight,
    walked.hops,
    links.above_id,
    causing.above_id IS NULL  AS is_origin
FROM links
INNER JOIN links_walked AS walked
    ON walked.place = links.place
LEFT JOIN (
    SELECT DISTINCT above_id
    FROM links
    WHERE above_id IS NOT NULL
) AS causing
    ON causing.above_id = links.unit_id;

-- the names on the way from an origin to its top; what has no name of its own is passed over
CREATE OR REPLACE TEMP TABLE paths AS
WITH RECURSIVE walk AS (
    SELECT
        chains.unit_id  AS origin_id,
        chains.unit_id,
        0               AS place
    FROM chains
    WHERE chains.is_origin

    UNION ALL

    -- A chain of more than 32 names tells a reader nothing more.
    SELECT
        walk.origin_id,
        links.above_id,
        walk.place + 1
    FROM walk
    INNER JOIN links
        ON links.unit_id = walk.unit_id
        AND links.above_id IS NOT NULL
    WHERE walk.place < 32
)

SELECT
    walk.origin_id,
    string_agg(
        coalesce(
            units.callee,
            CASE
                WHEN units.type IN ('agent', 'workflow') THEN 'agent:' || coalesce(units.label, '?')
                WHEN units.role <> 'transparent' OR units.unit_id = units.root_id
                THEN 'service:' || coalesce(units.service, '?')
            END
        ),
        ' → ' ORDER BY walk.place
    )  AS path
FROM walk
INNER JOIN units
    ON units.unit_id = walk.unit_id
GROUP BY walk.origin_id;

CREATE OR REPLACE TABLE failures AS
WITH

-- a call of the same kind and another callee that went well afterwards, for the same caller
replaced AS (
    SELECT DISTINCT failing.unit_id
    FROM failing
    INNER JOIN (
        SELECT
            caller_id,
            kind,
            max(start_ns) FILTER (NOT is_error)  AS last_start_ns,
            arg_max(boundary_id, start_ns) FILTER (NOT is_error)  AS last_boundary_id
        FROM units
        WHERE call_id IS NOT NULL
        GROUP BY
            caller_id,
            kind
    ) AS later
        ON later.caller_id = failing.caller_id
        AND later.kind = failing.kind
        AND later.last_start_ns >= failing.end_ns
        AND later.last_boundary_id <> failing.boundary_id
    WHERE failing.kind IN ('model', 'service', 'database', 'cache', 'storage', 'retrieval', 'agent')
),

-- what failed inside a call that went well
swallowed AS (
    SELECT
        groups.unit_id,
        arg_min(nodes.error_class, (nodes.depth, nodes.start_ns, nodes.node_id))  AS error_class
    FROM groups
    INNER JOIN nodes
        ON nodes.node_id = groups.node_id
    WHERE nodes.is_error
        AND groups.node_id <> groups.unit_id
        AND nodes.role <> 'transparent'
    GROUP BY groups.unit_id
),

told AS (
    SELECT
        failing.unit_id,
        chains.above_id                                               AS parent_failure_id,
        chains.is_origin,
        chains.top_id = failing.request_id                            AS is_visible,
        CASE WHEN chains.is_origin THEN chains.weight ELSE 0.0 END    AS origin_weight,
        chains.hops,
        CASE
            WHEN failing.is_async THEN 'async'
            WHEN chains.above_id IS NOT NULL THEN 'propagated'
            WHEN failing.is_mended THEN 'retried_ok'
            WHEN failing.parent_unit_id IS NULL THEN 'root'
            WHEN replaced.unit_id IS NOT NULL THEN 'fallback_ok'
            WHEN above.is_degraded OR solid.is_degraded THEN 'degraded'
            ELSE 'handled'
        END                                                           AS outcome,
        failing.error_class,
        paths.path
    FROM failing
    INNER JOIN chains
        ON chains.unit_id = failing.unit_id
    LEFT JOIN replaced
        ON replaced.unit_id = failing.unit_id
    LEFT JOIN units AS above
        ON above.unit_id = failing.parent_unit_id
    LEFT JOIN units AS solid
        ON solid.unit_id = failing.solid_unit_id
    LEFT JOIN paths
        ON paths.origin_id = failing.unit_id
    UNION ALL
    SELECT
        swallowed.unit_id,
        NULL,
        true,
        false,
        1.0,
        0,
        'absorbed_in_call',
        swallowed.error_class,
        units.callee
    FROM swallowed
    INNER JOIN units
        ON units.unit_id = swallowed.unit_id
    WHERE NOT units.is_error
)

SELECT
    told.unit_id                                                      AS failure_id,
    units.cohort,
    units.trace_id,
    units.trace_no,
    nearest.call_id,
    nearest.boundary_id,
    units.request_id,
    told.parent_failure_id,
    told.is_origin,
    coalesce(told.is_visible, false)                                  AS is_visible,
    told.origin_weight,
    told.hops,
    told.outcome,
    told.error_class,
    told.path,
    make_timestamp(units.start_ns // 1000)                            AS started_at
FROM told
INNER JOIN units
    ON units.unit_id = told.unit_id
LEFT JOIN calls AS nearest
    ON nearest.call_id = units.call_id;
