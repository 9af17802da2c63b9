-- failures: one row a failing group, where it began and how far it went (METHODS.md and BOUNDARIES.md, errors).
--
-- A unit is the part of a group on one side of a queue. Links lead from a failing unit to the failing
-- unit above it; where a unit between them set no status the link is inferred. A call repeated after
-- a failure is one logical call: its failed tries share one link, or none when a later try went well.

CREATE OR REPLACE TEMP TABLE units AS
SELECT
    nodes.node_id                                                             AS unit_id,
    nodes.cohort,
    nodes.trace_id,
    nodes.trace_no,
    -- The sender of a message does not see what became of it.
    CASE WHEN groups.part <> 'consumer' THEN above.unit_id END                AS parent_unit_id,
    groups.part = 'consumer'                                                  AS is_async,
    calls.call_id,
    calls.boundary_id,
    calls.kind,
    calls.callee,
    coalesce(calls.caller_id, nodes.composite_id, nodes.parent_id)            AS caller_id,
    nodes.is_error,
    nodes.error_class,
    nodes.start_ns,
    nodes.end_ns,
    CASE WHEN entries.request_id IS NOT NULL THEN nodes.root_id END          AS request_id,
    nodes.root_id,
    nodes.type,
    nodes.role,
    nodes.label,
    nodes.service,
    nodes.name,
    spans.is_degraded IS TRUE                                                 AS is_degraded
FROM groups
INNER JOIN nodes
    ON nodes.node_id = groups.node_id
INNER JOIN spans
    ON spans.node_id = groups.node_id
LEFT JOIN groups AS above
    ON above.node_id = nodes.parent_id
LEFT JOIN calls
    ON calls.call_id = groups.node_id
LEFT JOIN entries
    ON entries.request_id = nodes.root_id
WHERE groups.unit_id = groups.node_id
    AND nodes.type <> 'noise';

-- Tries of one logical call, in order: a run ends with the first that went well, or with an overlap.
CREATE OR REPLACE TEMP TABLE tries AS
WITH

ordered AS (
    SELECT
        unit_id,
        caller_id,
        boundary_id,
        kind,
        is_error,
        start_ns,
        end_ns,
        coalesce(
            NOT lag(is_error) OVER alike
                OR lag(end_ns) OVER alike > start_ns,
            true
        )  AS is_first
    FROM units
    WHERE call_id IS NOT NULL
        AND caller_id IS NOT NULL
    WINDOW alike AS (PARTITION BY caller_id, boundary_id ORDER BY start_ns, unit_id)
),

runs AS (
    SELECT
        *,
        sum(is_first::INTEGER) OVER (PARTITION BY caller_id, boundary_id ORDER BY start_ns, unit_id)  AS run
    FROM ordered
)

SELECT
    unit_id,
    first(unit_id) OVER run_rows                     AS logical_id,
    count(*) FILTER (is_error) OVER run_rows         AS failed_tries,
    bool_or(NOT is_error) OVER run_rows              AS is_mended
FROM runs
WINDOW run_rows AS (
    PARTITION BY caller_id, boundary_id, run
    ORDER BY start_ns, unit_id
    ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
);

CREATE OR REPLACE TEMP TABLE failing AS
SELECT
    units.*,
    coalesce(tries.logical_id, units.unit_id)    AS logical_id,
    coalesce(tries.failed_tries, 1)              AS failed_tries,
    coalesce(tries.is_mended, false)             AS is_mended
FROM units
LEFT JOIN tries
    ON tries.unit_id = units.unit_id
WHERE units.is_error;

-- the nearest failing unit above each failing one, and how many steps up it is
CREATE OR REPLACE TEMP TABLE upward AS
WITH RECURSIVE walk AS (
    SELECT
        failing.unit_id,
        failing.parent_unit_id  AS at_id,
        1                       AS steps
    FROM failing
    WHERE failing.parent_unit_id IS NOT NULL

    UNION ALL

    SELECT
        walk.unit_id,
        units.parent_unit_id,
        walk.steps + 1
    FROM walk
    INNER JOIN units
        ON units.unit_id = walk.at_id
    WHERE NOT units.is_error
        AND units.parent_unit_id IS NOT NULL
)

SELECT
    walk.unit_id,
    failing.unit_id  AS above_id,
    walk.steps
FROM walk
INNER JOIN failing
    ON failing.unit_id = walk.at_id;

CREATE OR REPLACE TEMP TABLE links AS
WITH

open_ends AS (
    SELECT
        upward.unit_id,
        upward.above_id,
        upward.steps,
        failing.logical_id,
        failing.failed_tries
    FROM upward
    INNER JOIN failing
        ON failing.unit_id = upward.unit_id
    WHERE NOT failing.is_mended
),

-- an ancestor that saw a child fail needs no guess
kept AS (
    SELECT *
    FROM open_ends
    QUALIFY steps = 1
        OR min(steps) OVER (PARTITION BY above_id) > 1
),

counted AS (
    SELECT
        above_id,
        count(DISTINCT logical_id)  AS causes
    FROM kept
    GROUP BY above_id
),

-- tries of one logical call that reach this ancestor
shared AS (
    SELECT
        above_id,
        logical_id,
        count(*)  AS tries
    FROM kept
    GROUP BY
        above_id,
        logical_id
)

SELECT
    kept.unit_id,
    kept.above_id,
    1.0 / (counted.causes * shared.tries)  AS share
FROM kept
INNER JOIN counted
    ON counted.above_id = kept.above_id
INNER JOIN shared
    ON shared.above_id = kept.above_id
    AND shared.logical_id = kept.logical_id;

-- from the top of each chain down
CREATE OR REPLACE TEMP TABLE chains AS
WITH RECURSIVE walk AS (
    SELECT
        failing.unit_id,
        failing.unit_id  AS top_id,
        1.0::DOUBLE      AS weight,
        0                AS hops
    FROM failing
    ANTI JOIN links
        ON links.unit_id = failing.unit_id

    UNION ALL

    SELECT
        links.unit_id,
        walk.top_id,
        walk.weight * links.share,
        walk.hops + 1
    FROM walk
    INNER JOIN links
        ON links.above_id = walk.unit_id
)

SELECT
    walk.*,
    NOT EXISTS (SELECT 1 FROM links WHERE links.above_id = walk.unit_id)  AS is_origin
FROM walk;

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
        arg_min(nodes.error_class, (nodes.depth, nodes.node_id))  AS error_class
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
        links.above_id                                                AS parent_failure_id,
        chains.is_origin,
        chains.top_id = failing.request_id                            AS is_visible,
        CASE WHEN chains.is_origin THEN chains.weight ELSE 0.0 END    AS origin_weight,
        chains.hops,
        CASE
            WHEN failing.is_async THEN 'async'
            WHEN links.above_id IS NOT NULL THEN 'propagated'
            WHEN failing.is_mended THEN 'retried_ok'
            WHEN failing.parent_unit_id IS NULL THEN 'root'
            WHEN replaced.unit_id IS NOT NULL THEN 'fallback_ok'
            WHEN above.is_degraded THEN 'degraded'
            ELSE 'handled'
        END                                                           AS outcome,
        failing.error_class,
        paths.path
    FROM failing
    INNER JOIN chains
        ON chains.unit_id = failing.unit_id
    LEFT JOIN links
        ON links.unit_id = failing.unit_id
    LEFT JOIN replaced
        ON replaced.unit_id = failing.unit_id
    LEFT JOIN units AS above
        ON above.unit_id = failing.parent_unit_id
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
    ON nearest.call_id = units.call_id
ORDER BY failure_id;
