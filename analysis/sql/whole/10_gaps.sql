-- gaps: what the data cannot say, where, how often, and what that blinds (BOUNDARIES.md, gaps).
--
-- One row a cohort, gap, and service or boundary: `found` of `total`.

CREATE OR REPLACE TABLE gaps AS
WITH

by_service AS (
    SELECT
        cohort,
        service,
        count(*)                                                                 AS spans,
        count(*) FILTER (parent_id IS NULL)                                      AS tops,
        count(*) FILTER (parent_state = 'remote')                                AS upstream,
        min(node_id) FILTER (parent_state = 'remote')                            AS upstream_id,
        count(*) FILTER (parent_state = 'missing' AND NOT is_parent_remote)      AS loss,
        min(node_id) FILTER (parent_state = 'missing' AND NOT is_parent_remote)  AS loss_id,
        count(*) FILTER (parent_state = 'missing' AND is_parent_remote IS NULL)      AS orphan,
        min(node_id) FILTER (parent_state = 'missing' AND is_parent_remote IS NULL)  AS orphan_id,
        count(*) FILTER (is_cut)                                                 AS cut,
        min(node_id) FILTER (is_cut)                                             AS cut_id,
        count(*) FILTER (type = 'internal')                                      AS unread,
        min(node_id) FILTER (type = 'internal')                                  AS unread_id,
        min(node_id)                                                             AS any_id
    FROM nodes
    GROUP BY
        cohort,
        service
),

lost AS (
    SELECT
        cohort,
        service,
        count(*)      AS spans,
        min(node_id)  AS node_id
    FROM dropped
    GROUP BY
        cohort,
        service
),

odd AS (
    SELECT
        cohort,
        service,
        count(*)      AS spans,
        min(node_id)  AS node_id
    FROM oddities
    WHERE oddity = 'unknown_type'
    GROUP BY
        cohort,
        service
),

of_services AS (
    SELECT
        by_service.cohort,
        by_service.service,
        NULL  AS boundary_id,
        unnest([
            {'gap': 'missing_upstream', 'found': upstream, 'total': tops, 'example_id': upstream_id},
            {'gap': 'span_loss', 'found': loss, 'total': by_service.spans, 'example_id': loss_id},
            {'gap': 'unknown_orphan', 'found': orphan, 'total': by_service.spans, 'example_id': orphan_id},
            {'gap': 'broken_propagation', 'found': cut, 'total': tops, 'example_id': cut_id},
            {'gap': 'unclassified', 'found': unread, 'total': by_service.spans, 'example_id': unread_id},
            {
                'gap': 'unknown_service',
                'found': CASE
                    WHEN by_service.service IS NULL OR starts_with(by_service.service, 'unknown_service')
                    THEN by_service.spans
                    ELSE 0
                END,
                'total': (sum(by_service.spans) OVER (PARTITION BY by_service.cohort))::BIGINT,
                'example_id': any_id
            },
            {
                'gap': 'dropped_attributes',
                'found': coalesce(lost.spans, 0),
                'total': by_service.spans,
                'example_id': lost.node_id
            },
            {
                'gap': 'unknown_type',
                'found': coalesce(odd.spans, 0),
                'total': by_service.spans,
                'example_id': odd.node_id
            }
        ], recursive := true)
    FROM by_service
    LEFT JOIN lost
        ON lost.cohort = by_service.cohort
        AND lost.service IS NOT DISTINCT FROM by_service.service
    LEFT JOIN odd
        ON odd.cohort = by_service.cohort
        AND odd.service IS NOT DISTINCT FROM by_service.service
),

boundaries AS (
    SELECT
        *,
        lower(regexp_extract(callee, '^(?:http|rpc|mcp|faas):(?:[^/]*//)?([^/:]+)', 1))  AS peer
    FROM (
        SELECT
            cohort,
            boundary_id,
            owner_service                                               AS service,
            any_value(kind)                                             AS kind,
            any_value(callee)                                           AS callee,
            count(*)                                                    AS calls,
            count(*) FILTER (observed_side = 'client')                  AS unserved,
            min(call_id) FILTER (observed_side = 'client')              AS unserved_id,
            count(*) FILTER (observed_side = 'both')                    AS served,
            min(call_id)                                                AS any_id
        FROM calls
        -- which tells the kind and the callee
        GROUP BY
            cohort,
            boundary_id,
            owner_service
    )
),

-- who is in the data, under a name that a caller may use: crm, or crm.prod.svc of a cluster
peers AS (
    SELECT lower(service)  AS peer
    FROM by_service
    WHERE service IS NOT NULL
    UNION
    SELECT peer
    FROM boundaries
    WHERE served > 0
        AND peer <> ''
),

of_boundaries AS (
    SELECT
        boundaries.cohort,
        boundaries.service,
        boundaries.boundary_id,
        unnest([
            {
                'gap': CASE
                    WHEN boundaries.peer IN (FROM peers) OR split_part(boundaries.peer, '.', 1) IN (FROM peers)
                    THEN 'missing_server'
                    ELSE 'uninstrumented_peer'
                END,
                'found': CASE WHEN boundaries.kind IN ('service', 'mcp') THEN unserved ELSE 0 END,
                'total': calls,
                'example_id': unserved_id
            },
            {
                'gap': 'unresolved_resource',
                'found': CASE WHEN contains(callee, '?') THEN calls ELSE 0 END,
                'total': calls,
                'example_id': any_id
            }
        ], recursive := true)
    FROM boundaries
),

of_layers AS (
    SELECT
        calls.cohort,
        calls.owner_service                             AS service,
        calls.boundary_id,
        oddities.oddity                                 AS gap,
        count(*) FILTER (oddities.is_odd)               AS found,
        count(*)                                        AS total,
        min(calls.call_id) FILTER (oddities.is_odd)     AS example_id
    FROM oddities
    INNER JOIN calls
        ON calls.call_id = oddities.node_id
    WHERE oddities.oddity = 'token_mismatch'
    GROUP BY ALL
)

SELECT
    cohort,
    gap,
    service,
    boundary_id,
    found,
    total,
    CASE gap
        WHEN 'missing_upstream' THEN 'the caller''s side of a handoff, and what the request was for'
        WHEN 'span_loss' THEN 'callers and errors between the hole and the top'
        WHEN 'unknown_orphan' THEN 'whether a request begins here or was cut'
        WHEN 'broken_propagation' THEN 'who called, end-to-end time and error chains'
        WHEN 'unclassified' THEN 'what the span does; it is looked through'
        WHEN 'unknown_service' THEN 'who owns the work'
        WHEN 'dropped_attributes' THEN 'any key: types, tokens, errors'
        WHEN 'missing_server' THEN 'handoff time, and what the callee did'
        WHEN 'uninstrumented_peer' THEN 'what an outside party did; only its answer is seen'
        WHEN 'unknown_type' THEN 'what `orch.node.type` was to say; the other rules decide'
        WHEN 'token_mismatch' THEN 'how many tokens the call took; the most is counted'
        WHEN 'unresolved_resource' THEN 'which data or callee was touched'
    END  AS blinds,
    example_id
FROM (
    FROM of_services
    UNION ALL BY NAME
    FROM of_boundaries
    UNION ALL BY NAME
    FROM of_layers
)
WHERE found > 0
ORDER BY ALL;
