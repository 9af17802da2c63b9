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
        boundary_no,
        worker_no,
        start_ns,
        error_class = 'timeout'                           AS is_timed_out,
        attempts > 1 OR since_failed_ns IS NOT NULL       AS is_tried_again,
        handoff_ms,
        server_ms,
        observed_side = 'client'                          AS is_unseen,
        -- Less is a matter of rounding and of the way.
        abs(skew_ms) >= 10                                AS is_skewed,
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
        * EXCLUDE (fault_id),
        'timed_out'  AS finding,
        fault_id     AS detail
    FROM doubtful
    WHERE is_timed_out
    UNION ALL BY NAME
    SELECT
        * EXCLUDE (fault_id),
        'tried_again'  AS finding,
        fault_id       AS detail
    FROM doubtful
    WHERE is_tried_again
    UNION ALL BY NAME
    -- Ten times the usual way and a tenth of a second: a person may feel it.
    SELECT
        doubtful.* EXCLUDE (fault_id),
        'slow_way'  AS finding
    FROM doubtful
    INNER JOIN usual_ways
        ON usual_ways.boundary_no = doubtful.boundary_no
        AND doubtful.handoff_ms >= greatest(10 * usual_ways.way_ms, 100)
    UNION ALL BY NAME
    SELECT
        doubtful.* EXCLUDE (fault_id),
        'slow_work'  AS finding
    FROM doubtful
    INNER JOIN usual_work
        ON usual_work.boundary_no = doubtful.boundary_no
        AND doubtful.server_ms >= greatest(10 * usual_work.work_ms, 100)
    UNION ALL BY NAME
    SELECT
        doubtful.* EXCLUDE (fault_id),
        unserved.gap  AS finding
    FROM doubtful
    INNER JOIN unserved
        ON unserved.boundary_no = doubtful.boundary_no
    WHERE doubtful.is_unseen
    UNION ALL BY NAME
    SELECT
        * EXCLUDE (fault_id),
        'clock_skew'  AS finding
    FROM doubtful
    WHERE is_skewed
    UNION ALL BY NAME
    SELECT
        * EXCLUDE (fault_id),
        'fault_test'  AS finding,
        fault_id      AS detail
    FROM doubtful
    WHERE fault_id IS NOT NULL
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
        odd.trace_no,
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
        nodes.trace_no,
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
        failures.trace_no,
        boundaries.boundary_no,
        nodes.service,
        nodes.start_ns,
        CASE WHEN failures.is_visible THEN 'failed_request' ELSE 'hidden_failure' END  AS finding,
        failures.error_class                                                      AS detail
    FROM failures
    INNER JOIN nodes
        ON nodes.node_id = failures.failure_id
    LEFT JOIN boundaries
        ON boundaries.cohort = failures.cohort
        AND boundaries.boundary_id = failures.boundary_id
    WHERE failures.is_origin
),

of_turns AS (
    SELECT
        trace_no,
        epoch_ns(started_at)  AS start_ns,
        'state_lost'          AS finding,
        signal                AS detail
    FROM state_signals
    WHERE is_lost
        AND strength IN ('certain', 'strong')
        AND NOT is_inferred
)

SELECT
    traces.cohort,
    traces.trace_id,
    found.finding,                                   -- what is seen, in the words of the other metrics
    boundaries.boundary_id,                          -- where, if at a handoff
    coalesce(boundaries.caller, found.caller)  AS caller,
    coalesce(boundaries.callee, found.callee)  AS callee,
    found.service,                                   -- whose span shows it
    found.detail,                                    -- error class, version, signal, or id of a fault test
    found.found,                                     -- calls, spans or signals
    found.started_at
FROM (
    SELECT
        trace_no,
        finding,
        boundary_no,
        min(caller)                        AS caller,
        min(callee)                        AS callee,
        service,
        detail,
        count(*)                           AS found,
        make_timestamp_ns(min(start_ns))   AS started_at
    FROM (
        SELECT
            of_calls.trace_no,
            of_calls.finding,
            of_calls.boundary_no,
            of_calls.start_ns,
            of_calls.detail,
            workers.owner_service  AS service
        FROM of_calls
        INNER JOIN workers
            ON workers.worker_no = of_calls.worker_no
        UNION ALL BY NAME
        FROM of_spans
        UNION ALL BY NAME
        FROM of_failures
        UNION ALL BY NAME
        FROM of_turns
    )
    WHERE finding IS NOT NULL
    GROUP BY
        trace_no,
        finding,
        boundary_no,
        service,
        detail
) AS found
INNER JOIN traces
    ON traces.trace_no = found.trace_no
LEFT JOIN boundaries
    ON boundaries.boundary_no = found.boundary_no
ORDER BY
    traces.cohort,
    found.started_at,
    traces.trace_id,
    found.finding,
    boundaries.boundary_id,
    found.service,
    found.detail
