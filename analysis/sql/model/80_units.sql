-- units: one row a part of a group on one side of a queue, in the traces where anything failed.
--
-- A call repeated after a failure is one logical call: its failed tries share one link to what failed
-- above, or none when a later try went well.

CREATE OR REPLACE TEMP TABLE erring AS
SELECT DISTINCT trace_no
FROM nodes
WHERE is_error;

-- An agent that is linked to a message, and runs inside a workflow, fails that workflow.
CREATE OR REPLACE TEMP MACRO is_apart(part, type, kind) AS
    part = 'consumer' AND NOT (type = 'agent' AND kind <> 'CONSUMER');

CREATE OR REPLACE TEMP TABLE units AS
SELECT
    nodes.node_id                                                             AS unit_id,
    nodes.cohort,
    nodes.trace_id,
    nodes.trace_no,
    -- The sender of a message does not see what became of it.
    CASE WHEN NOT is_apart(groups.part, nodes.type, nodes.kind) THEN above.unit_id END  AS parent_unit_id,
    is_apart(groups.part, nodes.type, nodes.kind)                             AS is_async,
    solid.unit_id                                                             AS solid_unit_id,
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
    degraded.node_id IS NOT NULL                                              AS is_degraded
FROM groups
INNER JOIN nodes
    ON nodes.node_id = groups.node_id
SEMI JOIN erring
    ON erring.trace_no = nodes.trace_no
LEFT JOIN (
    SELECT node_id
    FROM spans
    WHERE is_degraded
) AS degraded
    ON degraded.node_id = groups.node_id
LEFT JOIN groups AS above
    ON above.node_id = nodes.parent_id
LEFT JOIN groups AS solid
    ON solid.node_id = nodes.solid_id
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
    bool_or(NOT is_error) OVER run_rows
        OR coalesce(max(start_ns) FILTER (NOT is_error) OVER alike_rows >= end_ns, false)  AS is_mended
FROM runs
WINDOW alike_rows AS (PARTITION BY caller_id, boundary_id), run_rows AS (
    PARTITION BY caller_id, boundary_id, run
    ORDER BY start_ns, unit_id
    ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
);
