-- Which traces show what is wrong, and where?
--
-- unit: findings
-- better: lower
-- grain: cohort, trace_id, finding, boundary_id, service, detail

WITH

unserved AS (
    SELECT
        boundaries.boundary_no,
        any_value(gaps.gap)  AS gap
    FROM gaps
    INNER JOIN boundaries
        ON boundaries.cohort = gaps.cohort
        AND boundaries.boundary_id = gaps.boundary_id
    WHERE gaps.gap IN ('missing_server', 'uninstrumented_peer')
    GROUP BY boundaries.boundary_no
),

-- what may be wrong; most calls show nothing of it
doubtful AS MATERIALIZED (
    SELECT
        trace_no,
        trace_id,
        boundary_no,
        owner_service,
        start_ns,
        error_class,
        attempts,
        since_failed_ns,
        handoff_ms,
        server_ms,
        observed_side,
        skew_ms,
        fault_id
    FROM calls
    WHERE error_class = 'timeout'
        OR attempts > 1
        OR since_failed_ns IS NOT NULL
        OR handoff_ms >= 100
        OR server_ms >= 100
        OR abs(skew_ms) >= 10
        OR fault_id IS NOT NULL
        OR (observed_side = 'client' AND boundary_no IN (SELECT boundary_no FROM unserved))
),

-- what is usual at a boundary
usual_ways AS (
    SELECT
        boundary_no,
        quantile_disc(handoff_ms, 0.5)  AS way_ms
    FROM calls
    WHERE boundary_no IN (SELECT boundary_no FROM doubtful WHERE handoff_ms >= 100)
    GROUP BY boundary_no
    HAVING count(handoff_ms) >= 30
),

usual_work AS (
    SELECT
        boundary_no,
        quantile_disc(server_ms, 0.5)   AS work_ms
    FROM calls
    WHERE boundary_no IN (SELECT boundary_no FROM doubtful WHERE server_ms >= 100)
    GROUP BY boundary_no
    HAVING count(handoff_ms) >= 30
),

of_calls AS (
    SELECT
        boundaries.cohort,
        doubtful.trace_no,
        doubtful.trace_id,
        boundaries.boundary_id,
        doubtful.owner_service  AS service,
        doubtful.start_ns,
        unnest([
            {
                'finding': CASE WHEN doubtful.error_class = 'timeout' THEN 'timed_out' END,
                'detail': doubtful.fault_id
            },
            {
                'finding': CASE
                    WHEN doubtful.attempts > 1 OR doubtful.since_failed_ns IS NOT NULL THEN 'tried_again'
                END,
                'detail': doubtful.fault_id
            },
            {
                -- Ten times the usual way and a tenth of a second: a person may feel it.
                'finding': CASE
                    WHEN doubtful.handoff_ms >= greatest(10 * usual_ways.way_ms, 100) THEN 'slow_way'
                END,
                'detail': NULL
            },
            {
                'finding': CASE
                    WHEN doubtful.server_ms >= greatest(10 * usual_work.work_ms, 100) THEN 'slow_work'
                END,
                'detail': NULL
            },
            {
                'finding': CASE WHEN doubtful.observed_side = 'client' THEN unserved.gap END,
                'detail': NULL
            },
            {
                -- Less is a matter of rounding and of the way.
                'finding': CASE WHEN abs(doubtful.skew_ms) >= 10 THEN 'clock_skew' END,
                'detail': NULL
            },
            {
                'finding': CASE WHEN doubtful.fault_id IS NOT NULL THEN 'fault_test' END,
                'detail': doubtful.fault_id
            }
        ], recursive := true)
    FROM doubtful
    INNER JOIN boundaries
        ON boundaries.boundary_no = doubtful.boundary_no
    LEFT JOIN usual_ways
        ON usual_ways.boundary_no = doubtful.boundary_no
    LEFT JOIN usual_work
        ON usual_work.boundary_no = doubtful.boundary_no
    LEFT JOIN unserved
        ON unserved.boundary_no = doubtful.boundary_no
),

-- the versions of a service, and which of them was seen first
versions AS (
    SELECT
        cohort,
        service,
        service_version,
        row_number() OVER (PARTITION BY cohort, service ORDER BY began_at, service_version)  AS place
    FROM (
        SELECT
            cohort,
            service,
            service_version,
            min(began_at)  AS began_at
        FROM service_work
        WHERE service_version IS NOT NULL
        GROUP BY
            cohort,
            service,
            service_version
    )
),

of_spans AS (
    SELECT
        odd.cohort,
        odd.trace_no,
        odd.trace_id,
        NULL  AS boundary_id,
        -- of a call that is the first thing seen
        calls.caller,
        calls.callee,
        odd.service,
        odd.start_ns,
        unnest([
            {'finding': CASE WHEN odd.parent_state = 'missing' THEN 'missing_span' END, 'detail': NULL},
            {'finding': CASE WHEN odd.is_cut THEN 'broken_propagation' END, 'detail': NULL}
        ], recursive := true)
    FROM nodes AS odd
    LEFT JOIN calls
        ON calls.call_id = odd.node_id
    WHERE odd.parent_state = 'missing'
        OR odd.is_cut
    UNION ALL BY NAME
    SELECT
        nodes.cohort,
        nodes.trace_no,
        nodes.trace_id,
        nodes.service,
        nodes.start_ns,
        'other_version'        AS finding,
        nodes.service_version  AS detail
    FROM nodes
    INNER JOIN versions
        ON versions.cohort = nodes.cohort
        AND versions.service = nodes.service
        AND versions.service_version = nodes.service_version
    WHERE versions.place > 1
),

of_failures AS (
    SELECT
        failures.cohort,
        failures.trace_no,
        failures.trace_id,
        failures.boundary_id,
        nodes.service,
        nodes.start_ns,
        CASE WHEN failures.is_visible THEN 'failed_request' ELSE 'hidden_failure' END  AS finding,
        failures.error_class                                                      AS detail
    FROM failures
    INNER JOIN nodes
        ON nodes.node_id = failures.failure_id
    WHERE failures.is_origin
),

of_turns AS (
    SELECT
        cohort,
        trace_no,
        trace_id,
        NULL          AS boundary_id,
        NULL          AS service,
        epoch_ns(started_at)  AS start_ns,
        'state_lost'  AS finding,
        signal        AS detail
    FROM state_signals
    WHERE is_lost
        AND strength IN ('certain', 'strong')
        AND NOT is_inferred
)

SELECT
    found.cohort,
    found.trace_id,
    found.finding,                                   -- what is seen, in the words of the other metrics
    found.boundary_id,                               -- where, if at a handoff
    coalesce(boundaries.caller, found.caller)  AS caller,
    coalesce(boundaries.callee, found.callee)  AS callee,
    found.service,                                   -- whose span shows it
    found.detail,                                    -- error class, version, signal, or id of a fault test
    found.found,                                     -- calls, spans or signals
    found.started_at
FROM (
    SELECT
        cohort,
        trace_no,
        any_value(trace_id)                AS trace_id,
        finding,
        boundary_id,
        min(caller)                        AS caller,
        min(callee)                        AS callee,
        service,
        detail,
        count(*)                           AS found,
        make_timestamp_ns(min(start_ns))   AS started_at
    FROM (
        FROM of_calls
        UNION ALL BY NAME
        FROM of_spans
        UNION ALL BY NAME
        FROM of_failures
        UNION ALL BY NAME
        FROM of_turns
    )
    WHERE finding IS NOT NULL
    GROUP BY
        cohort,
        trace_no,
        finding,
        boundary_id,
        service,
        detail
) AS found
LEFT JOIN boundaries
    ON boundaries.cohort = found.cohort
    AND boundaries.boundary_id = found.boundary_id
ORDER BY
    found.cohort,
    found.started_at,
    found.trace_id,
    found.finding,
    found.boundary_id,
    found.service,
    found.detail
