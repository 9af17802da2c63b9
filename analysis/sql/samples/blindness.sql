-- How much of what is needed was not seen, and where?
--
-- unit: spans, calls, requests or ms
-- better: lower
-- grain: cohort, blind_spot, service, boundary_id, bucket

WITH

seen AS MATERIALIZED (
    SELECT
        cohort,
        service,
        bucket,
        sum(spans)::DOUBLE                          AS spans,
        sum(tops)::DOUBLE                           AS tops,
        sum(agents)::DOUBLE                         AS agents,
        sum(path_ns) / 1e6                          AS path_ms,
        sum(unexplained_ns) / 1e6                   AS unexplained_ms,
        count(*)::DOUBLE                            AS traces,
        sum((tops > 0)::UTINYINT)::DOUBLE           AS with_tops,
        sum((agents > 0)::UTINYINT)::DOUBLE         AS with_agents,
        sum((path_ns > 0)::UTINYINT)::DOUBLE        AS with_path,
        min(trace_no)                               AS any_no,
        max(unexplained_ns)                         AS most_unexplained_ns
    FROM sights
    GROUP BY
        cohort,
        service,
        bucket
),

-- Most of what is seen lacks nothing.
lacking AS (
    SELECT
        cohort,
        service,
        bucket,
        sum(orphans)::DOUBLE                        AS orphans,
        sum(remote)::DOUBLE                         AS remote,
        sum(cut)::DOUBLE                            AS cut,
        sum(unfinished)::DOUBLE                     AS unfinished,
        sum(unread)::DOUBLE                         AS unread,
        sum(unversioned)::DOUBLE                    AS unversioned,
        sum(dropped)::DOUBLE                        AS dropped,
        min(trace_no) FILTER (orphans > 0)          AS orphan_no,
        min(trace_no) FILTER (remote > 0)           AS remote_no,
        min(trace_no) FILTER (cut > 0)              AS cut_no,
        min(trace_no) FILTER (unfinished > 0)       AS unfinished_no,
        min(trace_no) FILTER (unread > 0)           AS unread_no,
        min(trace_no) FILTER (unversioned > 0)      AS unversioned_no,
        min(trace_no) FILTER (dropped > 0)          AS dropped_no
    FROM sights
    WHERE orphans + remote + cut + unfinished + unread + unversioned + dropped > 0
    GROUP BY
        cohort,
        service,
        bucket
),

-- where a service was explained least
unexplained AS (
    SELECT
        sights.cohort,
        sights.service,
        min(sights.trace_no)  AS unexplained_no
    FROM (
        SELECT
            cohort,
            service,
            trace_no,
            unexplained_ns
        FROM sights
        WHERE unexplained_ns IN (SELECT most_unexplained_ns FROM seen)
    ) AS sights
    INNER JOIN (
        SELECT
            cohort,
            service,
            max(most_unexplained_ns)  AS most_ns
        FROM seen
        GROUP BY
            cohort,
            service
    ) AS most
        ON most.cohort = sights.cohort
        AND most.service IS NOT DISTINCT FROM sights.service
        AND most.most_ns = sights.unexplained_ns
    WHERE sights.unexplained_ns > 0
    GROUP BY
        sights.cohort,
        sights.service
),

by_service AS (
    SELECT
        seen.*,
        coalesce(lacking.orphans, 0)      AS orphans,
        coalesce(lacking.remote, 0)       AS remote,
        coalesce(lacking.cut, 0)          AS cut,
        coalesce(lacking.unfinished, 0)   AS unfinished,
        coalesce(lacking.unread, 0)       AS unread,
        coalesce(lacking.unversioned, 0)  AS unversioned,
        coalesce(lacking.dropped, 0)      AS dropped,
        lacking.* EXCLUDE (cohort, service, bucket, orphans, remote, cut, unfinished, unread, unversioned, dropped),
        unexplained.unexplained_no
    FROM seen
    LEFT JOIN lacking
        ON lacking.cohort = seen.cohort
        AND lacking.service IS NOT DISTINCT FROM seen.service
        AND lacking.bucket = seen.bucket
    LEFT JOIN unexplained
        ON unexplained.cohort = seen.cohort
        AND unexplained.service IS NOT DISTINCT FROM seen.service
),

of_services AS (
    SELECT
        cohort,
        service,
        bucket,
        unnest([
            {'blind_spot': 'missing_span', 'found': orphans, 'total': spans, 'units': traces, 'example_no': orphan_no},
            {'blind_spot': 'missing_upstream', 'found': remote, 'total': tops, 'units': with_tops, 'example_no': remote_no},
            {'blind_spot': 'broken_context', 'found': cut, 'total': tops, 'units': with_tops, 'example_no': cut_no},
            {'blind_spot': 'unfinished', 'found': unfinished, 'total': spans, 'units': traces, 'example_no': unfinished_no},
            {
                'blind_spot': 'no_service_name',
                'found': CASE WHEN service IS NULL OR starts_with(service, 'unknown_service') THEN spans ELSE 0 END,
                'total': spans,
                'units': traces,
                'example_no': CASE WHEN service IS NULL OR starts_with(service, 'unknown_service') THEN any_no END
            },
            {'blind_spot': 'unread', 'found': unread, 'total': spans, 'units': traces, 'example_no': unread_no},
            {
                'blind_spot': 'no_agent_version',
                'found': unversioned,
                'total': agents,
                'units': with_agents,
                'example_no': unversioned_no
            },
            {'blind_spot': 'dropped_attributes', 'found': dropped, 'total': spans, 'units': traces, 'example_no': dropped_no},
            {
                'blind_spot': 'unexplained',
                'found': unexplained_ms,
                'total': path_ms,
                'units': with_path,
                'example_no': unexplained_no
            }
        ], recursive := true)
    FROM by_service
),

handoffs AS (
    SELECT
        boundary_no,
        bucket,
        count(*)::DOUBLE                                    AS calls,
        count(*) FILTER (observed_side = 'client')::DOUBLE  AS unanswered,
        count(*) FILTER (observed_side = 'server')::DOUBLE  AS unasked,
        min(trace_no) FILTER (observed_side = 'client')     AS unanswered_no,
        min(trace_no) FILTER (observed_side = 'server')     AS unasked_no,
        min(trace_no)                                       AS any_no
    FROM calls
    GROUP BY
        boundary_no,
        bucket
),

-- Calls of one unit may lie in several buckets of traces, never of units.
met AS (
    SELECT
        counted.boundary_no,
        workers.owner_service  AS service,
        counted.units
    FROM (
        SELECT
            boundary_no,
            min(worker_no)        AS worker_no,
            count_units(unit_no)  AS units
        FROM calls
        GROUP BY boundary_no
    ) AS counted
    INNER JOIN workers
        ON workers.worker_no = counted.worker_no
),

of_boundaries AS (
    SELECT
        boundaries.cohort,
        boundaries.boundary_id,
        met.service,
        handoffs.bucket,
        handoffs.calls  AS total,
        -- said once: they are not those of its buckets
        CASE
            WHEN handoffs.bucket = min(handoffs.bucket) OVER (PARTITION BY handoffs.boundary_no) THEN met.units ELSE 0
        END::DOUBLE     AS units,
        unnest([
            {
                'blind_spot': 'far_side',
                'is_asked': boundaries.kind IN ('service', 'mcp'),
                'found': handoffs.unanswered,
                'example_no': handoffs.unanswered_no
            },
            {
                'blind_spot': 'near_side',
                'is_asked': boundaries.kind IN ('service', 'mcp'),
                'found': handoffs.unasked,
                'example_no': handoffs.unasked_no
            },
            {
                'blind_spot': 'unnamed_resource',
                'is_asked': true,
                'found': CASE WHEN contains(boundaries.callee, '?') THEN handoffs.calls ELSE 0 END,
                'example_no': CASE WHEN contains(boundaries.callee, '?') THEN handoffs.any_no END
            }
        ], recursive := true)
    FROM handoffs
    INNER JOIN boundaries
        ON boundaries.boundary_no = handoffs.boundary_no
    INNER JOIN met
        ON met.boundary_no = handoffs.boundary_no
),

entered AS (
    SELECT
        cohort,
        service,
        bucket,
        count(*)::DOUBLE                               AS total,
        count(*) FILTER (conversation_id IS NULL)::DOUBLE  AS unnamed,
        count(*) FILTER (NOT is_user_told)::DOUBLE     AS nobodys,
        min(trace_no) FILTER (conversation_id IS NULL)  AS unnamed_no,
        min(trace_no) FILTER (NOT is_user_told)        AS nobodys_no
    FROM requests
    WHERE is_conversing
    GROUP BY
        cohort,
        service,
        bucket
),

of_requests AS (
    SELECT
        entered.cohort,
        entered.service,
        entered.bucket,
        entered.total,
        -- said once, as above
        CASE
            WHEN entered.bucket = min(entered.bucket) OVER (PARTITION BY entered.cohort, entered.service)
            THEN counted.units
            ELSE 0
        END::DOUBLE  AS units,
        unnest([
            {'blind_spot': 'no_conversation', 'found': entered.unnamed, 'example_no': entered.unnamed_no},
            {'blind_spot': 'no_user', 'found': entered.nobodys, 'example_no': entered.nobodys_no}
        ], recursive := true)
    FROM entered
    INNER JOIN (
        SELECT
            cohort,
            service,
            count_units(unit_no)  AS units
        FROM requests
        WHERE is_conversing
        GROUP BY
            cohort,
            service
    ) AS counted
        ON counted.cohort = entered.cohort
        AND counted.service IS NOT DISTINCT FROM entered.service
),

told AS MATERIALIZED (
    SELECT
        *,
        min(example_no) OVER (PARTITION BY cohort, blind_spot, service, boundary_id)  AS first_no
    FROM (
        SELECT
            cohort,
            blind_spot,
            service,
            NULL                                                             AS boundary_id,
            CASE WHEN blind_spot = 'unexplained' THEN 'ms' ELSE 'spans' END  AS counted,
            bucket,
            found,
            total,
            units,
            example_no
        FROM of_services
        UNION ALL BY NAME
        SELECT
            * EXCLUDE (is_asked),
            'calls'  AS counted
        FROM of_boundaries
        WHERE is_asked
        UNION ALL BY NAME
        SELECT
            *,
            'requests'  AS counted
        FROM of_requests
    )
    WHERE total > 0
)

SELECT
    told.cohort,
    told.blind_spot,
    told.service,
    told.boundary_id,
    told.counted,                            -- what is counted: spans, calls, requests, ms
    told.bucket,                             -- hash of the trace or unit, for the interval
    told.found,                              -- not seen
    told.total,                              -- of how many
    told.units,                              -- traces of spans and of ms, units of calls and requests; these add up
    examples.trace_id  AS example_trace_id
FROM told
LEFT JOIN traces AS examples
    ON examples.trace_no = told.first_no
ORDER BY
    told.cohort,
    told.blind_spot,
    told.service,
    told.boundary_id,
    told.bucket
