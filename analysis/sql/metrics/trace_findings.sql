-- Which traces show what is wrong, and where?
--
-- unit: findings
-- better: lower
-- grain: cohort, trace_id, finding, boundary_id, service, detail

WITH

-- what is usual at a boundary, and in which version a service was first seen
usual AS (
    SELECT
        cohort,
        boundary_id,
        quantile_disc(handoff_ms, 0.5)                                    AS way_ms,
        quantile_disc(server_ms, 0.5)                                     AS work_ms,
        count(handoff_ms)                                                 AS ways,
        count(*) FILTER (observed_side = 'both')                          AS served
    FROM calls
    GROUP BY
        cohort,
        boundary_id
),

first_versions AS (
    SELECT
        cohort,
        service,
        arg_min(service_version, (start_ns, node_id))  AS service_version
    FROM nodes
    WHERE service IS NOT NULL
        AND service_version IS NOT NULL
    GROUP BY
        cohort,
        service
),

unserved AS (
    SELECT
        cohort,
        boundary_id,
        any_value(gap)  AS gap
    FROM gaps
    WHERE gap IN ('missing_server', 'uninstrumented_peer')
    GROUP BY
        cohort,
        boundary_id
),

of_calls AS (
    SELECT
        calls.cohort,
        calls.trace_id,
        calls.boundary_id,
        calls.owner_service  AS service,
        calls.call_id        AS node_id,
        calls.start_ns,
        unnest([
            {
                'finding': CASE WHEN calls.error_class = 'timeout' THEN 'timed_out' END,
                'detail': calls.fault_id
            },
            {
                'finding': CASE WHEN calls.attempts > 1 OR calls.since_failed_ns IS NOT NULL THEN 'tried_again' END,
                'detail': calls.fault_id
            },
            {
                'finding': CASE
                    -- Ten times the usual way and a tenth of a second: a person may feel it.
                    WHEN usual.ways >= 30 AND calls.handoff_ms >= greatest(10 * usual.way_ms, 100) THEN 'slow_way'
                END,
                'detail': NULL
            },
            {
                'finding': CASE
                    WHEN usual.ways >= 30 AND calls.server_ms >= greatest(10 * usual.work_ms, 100) THEN 'slow_work'
                END,
                'detail': NULL
            },
            {
                'finding': CASE WHEN calls.observed_side = 'client' THEN unserved.gap END,
                'detail': NULL
            },
            {
                -- Less is a matter of rounding and of the way.
                'finding': CASE WHEN abs(calls.skew_ms) >= 10 THEN 'clock_skew' END,
                'detail': NULL
            },
            {
                'finding': CASE WHEN calls.fault_id IS NOT NULL THEN 'fault_test' END,
                'detail': calls.fault_id
            }
        ], recursive := true)
    FROM calls
    INNER JOIN usual
        ON usual.cohort = calls.cohort
        AND usual.boundary_id = calls.boundary_id
    LEFT JOIN unserved
        ON unserved.cohort = calls.cohort
        AND unserved.boundary_id = calls.boundary_id
),

of_spans AS (
    SELECT
        nodes.cohort,
        nodes.trace_id,
        NULL  AS boundary_id,
        nodes.service,
        nodes.node_id,
        nodes.start_ns,
        unnest([
            {'finding': CASE WHEN nodes.parent_state = 'missing' THEN 'missing_span' END, 'detail': NULL},
            {'finding': CASE WHEN nodes.is_cut THEN 'broken_propagation' END, 'detail': NULL},
            {
                'finding': CASE
                    WHEN nodes.service_version <> first_versions.service_version THEN 'other_version'
                END,
                'detail': nodes.service_version
            }
        ], recursive := true)
    FROM nodes
    LEFT JOIN first_versions
        ON first_versions.cohort = nodes.cohort
        AND first_versions.service = nodes.service
),

of_failures AS (
    SELECT
        failures.cohort,
        failures.trace_id,
        failures.boundary_id,
        nodes.service,
        failures.failure_id                                                       AS node_id,
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
        trace_id,
        NULL          AS boundary_id,
        NULL          AS service,
        NULL          AS node_id,
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
    any_value(calls.caller)       AS caller,
    any_value(calls.callee)       AS callee,
    found.service,                                   -- whose span shows it
    found.detail,                                    -- error class, version, signal, or id of a fault test
    count(*)                      AS found,          -- calls, spans or signals
    make_timestamp_ns(min(found.start_ns))  AS started_at
FROM (
    FROM of_calls
    UNION ALL BY NAME
    FROM of_spans
    UNION ALL BY NAME
    FROM of_failures
    UNION ALL BY NAME
    FROM of_turns
) AS found
LEFT JOIN calls
    ON calls.call_id = found.node_id
WHERE found.finding IS NOT NULL
GROUP BY
    found.cohort,
    found.trace_id,
    found.finding,
    found.boundary_id,
    found.service,
    found.detail
ORDER BY ALL
