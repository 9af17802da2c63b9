-- sights: one row a trace and service seen in it: how much of what is needed of it was not seen (METHODS.md, blind spots).

CREATE OR REPLACE TABLE sights AS
WITH

-- Who has children works through them: what none of them covers is told by nothing. A leaf's work is told by its name.
worked AS (
    SELECT
        trace_no,
        service,
        sum(self_ns)::BIGINT                         AS path_ns,
        (sum(self_ns) FILTER (NOT is_leaf))::BIGINT  AS unexplained_ns
    FROM critical_path
    GROUP BY
        trace_no,
        service
),

seen AS (
    SELECT
        nodes.trace_no,
        nodes.service,
        any_value(nodes.cohort)                                                   AS cohort,
        make_timestamp(min(nodes.start_ns) // 1000)                               AS started_at,
        count(*)                                                                  AS spans,
        count(*) FILTER (nodes.parent_id IS NULL)                                 AS tops,
        count(*) FILTER (nodes.type = 'agent')                                    AS agents,
        count(*) FILTER (nodes.parent_state = 'missing')                          AS orphans,
        count(*) FILTER (nodes.parent_state = 'remote')                           AS remote,
        count(*) FILTER (nodes.is_cut)                                            AS cut,
        -- A span without an end is not exported: one that was given up is what is seen of it.
        count(*) FILTER (nodes.error_class = 'incomplete')                        AS unfinished,
        count(*) FILTER (nodes.type = 'internal')                                 AS unread,
        count(*) FILTER (nodes.type = 'agent' AND nodes.service_version IS NULL)  AS unversioned,
        count(dropped.node_id)                                                    AS dropped
    FROM nodes
    LEFT JOIN dropped
        ON dropped.node_id = nodes.node_id
    GROUP BY
        nodes.trace_no,
        nodes.service
)

SELECT
    seen.trace_no,
    seen.cohort,
    seen.service,
    seen.started_at,
    (abs(seen.trace_no % 100))::UTINYINT        AS bucket,
    seen.spans::INTEGER                         AS spans,
    seen.tops::INTEGER                          AS tops,
    seen.agents::INTEGER                        AS agents,
    seen.orphans::INTEGER                       AS orphans,
    seen.remote::INTEGER                        AS remote,
    seen.cut::INTEGER                           AS cut,
    seen.unfinished::INTEGER                    AS unfinished,
    seen.unread::INTEGER                        AS unread,
    seen.unversioned::INTEGER                   AS unversioned,
    seen.dropped::INTEGER                       AS dropped,
    coalesce(worked.path_ns, 0)::BIGINT         AS path_ns,         -- that requests waited for it
    coalesce(worked.unexplained_ns, 0)::BIGINT  AS unexplained_ns
FROM seen
LEFT JOIN worked
    ON worked.trace_no = seen.trace_no
    AND worked.service IS NOT DISTINCT FROM seen.service;
