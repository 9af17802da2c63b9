-- How much of what is needed was not seen, and where?
--
-- unit: spans, calls, requests or ms
-- better: lower
-- grain: cohort, blind_spot, service, boundary_id, bucket

WITH

-- First by trace, so that what is unnested is little.
by_trace AS (
    SELECT
        nodes.cohort,
        nodes.service,
        nodes.trace_no,
        any_value(nodes.trace_id)                                       AS trace_id,
        count(*)                                                        AS spans,
        count(*) FILTER (nodes.parent_id IS NULL)                       AS tops,
        count(*) FILTER (nodes.type = 'agent')                          AS agents,
        count(*) FILTER (nodes.parent_state = 'missing')                AS orphans,
        count(*) FILTER (nodes.parent_state = 'remote')                 AS remote,
        count(*) FILTER (nodes.is_cut)                                  AS cut,
        -- A span without an end is not exported: one that was given up is what is seen of it.
        count(*) FILTER (nodes.error_class = 'incomplete')              AS unfinished,
        count(*) FILTER (nodes.type = 'internal')                       AS unread,
        count(*) FILTER (nodes.type = 'agent' AND nodes.service_version IS NULL)  AS unversioned,
        count(dropped.node_id)                                          AS dropped
    FROM nodes
    LEFT JOIN dropped
        ON dropped.node_id = nodes.node_id
    GROUP BY
        nodes.cohort,
        nodes.service,
        nodes.trace_no
),

of_traces AS (
    SELECT
        cohort,
        service,
        trace_no,
        trace_id,
        unnest([
            {'blind_spot': 'missing_span', 'found': orphans, 'total': spans},
            {'blind_spot': 'missing_upstream', 'found': remote, 'total': tops},
            {'blind_spot': 'broken_context', 'found': cut, 'total': tops},
            {'blind_spot': 'unfinished', 'found': unfinished, 'total': spans},
            {
                'blind_spot': 'no_service_name',
                'found': CASE WHEN service IS NULL OR starts_with(service, 'unknown_service') THEN spans ELSE 0 END,
                'total': spans
            },
            {'blind_spot': 'unread', 'found': unread, 'total': spans},
            {'blind_spot': 'no_agent_version', 'found': unversioned, 'total': agents},
            {'blind_spot': 'dropped_attributes', 'found': dropped, 'total': spans}
        ], recursive := true)
    FROM by_trace
),

of_services AS (
    SELECT
        cohort,
        blind_spot,
        service,
        NULL                                AS boundary_id,
        'spans'                             AS counted,
        (abs(trace_no % 100))::INTEGER      AS bucket,
        sum(found)::DOUBLE                  AS found,
        sum(total)::DOUBLE                  AS total,
        count(*)                            AS units,
        min(trace_id) FILTER (found > 0)    AS example_trace_id
    FROM of_traces
    WHERE total > 0
    GROUP BY ALL
),

handoffs AS (
    SELECT
        cohort,
        boundary_id,
        owner_service  AS service,
        trace_no,
        trace_id,
        unnest([
            {
                'blind_spot': 'far_side',
                'is_blind': observed_side = 'client',
                'is_asked': kind IN ('service', 'mcp')
            },
            {
                'blind_spot': 'near_side',
                'is_blind': observed_side = 'server',
                'is_asked': kind IN ('service', 'mcp')
            },
            {'blind_spot': 'unnamed_resource', 'is_blind': contains(callee, '?'), 'is_asked': true}
        ], recursive := true)
    FROM calls
),

of_boundaries AS (
    SELECT
        cohort,
        blind_spot,
        any_value(service)                    AS service,
        boundary_id,
        'calls'                               AS counted,
        (abs(trace_no % 100))::INTEGER        AS bucket,
        count(*) FILTER (is_blind)::DOUBLE    AS found,
        count(*)::DOUBLE                      AS total,
        count(DISTINCT trace_no)              AS units,
        min(trace_id) FILTER (is_blind)       AS example_trace_id
    FROM handoffs
    WHERE is_asked
    GROUP BY
        cohort,
        blind_spot,
        boundary_id,
        bucket
),

entered AS (
    SELECT
        requests.cohort,
        requests.service,
        requests.trace_no,
        requests.trace_id,
        unnest([
            {
                'blind_spot': 'no_conversation',
                'is_blind': conversation.told IS NULL
            },
            {'blind_spot': 'no_user', 'is_blind': root_marks.user_id IS NULL}
        ], recursive := true)
    FROM requests
    LEFT JOIN root_marks
        ON root_marks.node_id = requests.request_id
    CROSS JOIN LATERAL (
        SELECT
            CASE WHEN NOT starts_with(requests.conversation_id, 'inferred:') THEN requests.conversation_id END  AS told
    ) AS conversation
    WHERE requests.is_conversing
),

of_requests AS (
    SELECT
        cohort,
        blind_spot,
        service,
        NULL                                  AS boundary_id,
        'requests'                            AS counted,
        (abs(trace_no % 100))::INTEGER        AS bucket,
        count(*) FILTER (is_blind)::DOUBLE    AS found,
        count(*)::DOUBLE                      AS total,
        count(DISTINCT trace_no)              AS units,
        min(trace_id) FILTER (is_blind)       AS example_trace_id
    FROM entered
    GROUP BY ALL
),

-- Who has children works through them: what none of them covers is told by nothing. A leaf's work is told by its name.
worked AS (
    SELECT
        critical_path.cohort,
        nodes.service,
        critical_path.trace_no,
        critical_path.trace_id,
        critical_path.self_ns,
        parents.parent_id IS NOT NULL  AS is_blind
    FROM critical_path
    INNER JOIN nodes
        ON nodes.node_id = critical_path.node_id
    LEFT JOIN (
        SELECT DISTINCT parent_id
        FROM nodes
        WHERE parent_id IS NOT NULL
    ) AS parents
        ON parents.parent_id = critical_path.node_id
    WHERE critical_path.self_ns > 0
),

of_time AS (
    SELECT
        cohort,
        'unexplained'                                           AS blind_spot,
        service,
        NULL                                                    AS boundary_id,
        'ms'                                                    AS counted,
        (abs(trace_no % 100))::INTEGER                          AS bucket,
        coalesce(sum(self_ns) FILTER (is_blind), 0) / 1e6       AS found,
        sum(self_ns) / 1e6                                      AS total,
        count(DISTINCT trace_no)                                AS units,
        arg_max(trace_id, (self_ns, trace_id)) FILTER (is_blind)  AS example_trace_id
    FROM worked
    GROUP BY ALL
)

SELECT
    told.cohort,
    told.blind_spot,
    told.service,
    told.boundary_id,
    told.counted,                            -- what is counted: spans, calls, requests, ms
    told.bucket,                             -- hash of the trace, for the interval
    told.found,                              -- not seen
    told.total,                              -- of how many
    told.units,                              -- traces
    told.example_trace_id
FROM (
    FROM of_services
    UNION ALL BY NAME
    FROM of_boundaries
    UNION ALL BY NAME
    FROM of_requests
    UNION ALL BY NAME
    FROM of_time
) AS told
ORDER BY ALL
