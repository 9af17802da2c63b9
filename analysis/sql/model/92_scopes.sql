-- scopes: one row a span that says which scopes it has or needs (BOUNDARIES.md, scopes).
--
-- `added` are those that the nearest hop above did not have: a privilege that appears on the way down.

CREATE OR REPLACE TABLE scopes AS
SELECT
    nodes.node_id,
    nodes.cohort,
    nodes.trace_id,
    nodes.trace_no,
    make_timestamp(nodes.start_ns // 1000)                       AS started_at,
    nodes.service,
    calls.call_id,
    calls.boundary_id,
    coalesce(calls.owner_agent, calls.owner_service)             AS agent,
    scoped.granted,
    scoped.required,
    scoped.principal,
    scoped.is_delegated,
    above.node_id                                                AS above_id,
    CASE
        WHEN above.node_id IS NOT NULL
        THEN list_filter(scoped.granted, lambda item: NOT list_contains(above.granted, item))
    END                                                          AS added,
    above.granted = scoped.granted                               AS is_inherited,
    list_filter(
        scoped.required,
        lambda item: NOT list_contains(scoped.granted, item)
    )                                                            AS lacking
FROM scoped
INNER JOIN nodes
    ON nodes.node_id = scoped.node_id
LEFT JOIN hops
    ON hops.node_id = scoped.node_id
LEFT JOIN hops_walked AS walked
    ON walked.place = hops.place
LEFT JOIN scoped AS above
    ON above.node_id = walked.above_id
LEFT JOIN groups
    ON groups.node_id = scoped.node_id
LEFT JOIN calls
    ON calls.call_id = groups.group_id;
