-- Which sensitive data was read before a call went out to somebody else?
--
-- unit: traces
-- better: lower
-- grain: cohort, agent, resource, callee

WITH

-- by name of the callee, for names are few
called AS (
    SELECT
        callee,
        lower(regexp_extract(callee, '^(?:http|rpc):([^/]+)', 1))  AS called_host,
        count(callee_service) > 0                                   AS is_served
    FROM calls
    WHERE starts_with(callee, 'http:')
        OR starts_with(callee, 'rpc:')
    GROUP BY callee
),

-- A public name or address at which nobody is seen to answer; a model, a bucket may be our own. In a cluster a
-- service has its namespace behind a dot (orders.shop, api.dev), so the ending must be one that hardly is a namespace.
-- Whoever answers at a host somewhere in the traces is one of us.
outside AS MATERIALIZED (
    SELECT
        callee,
        called_host
    FROM called
    WHERE (
            regexp_full_match(called_host, '([a-z0-9_-]+\.)+(com|net|org|info|biz|gov|edu)')
            OR regexp_full_match(called_host, '([a-z0-9_-]+\.){2,}(io|ai|app|cloud|co|[a-z]{2})')
            AND NOT regexp_matches(called_host, '\.(qa|ns|db|mq|ml|ci|cd)$')
            OR regexp_full_match(called_host, '\d+\.\d+\.\d+\.\d+')
            AND NOT regexp_matches(
                called_host,
                '^(0|10|127|169\.254|192\.168|172\.(1[6-9]|2\d|3[01])|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7]))\.'
            )
        )
        AND called_host NOT IN (SELECT called_host FROM called WHERE is_served)
),

sent AS MATERIALIZED (
    SELECT
        calls.call_id,
        calls.cohort,
        calls.callee,
        calls.access,
        calls.trace_id,
        calls.unit_id,
        calls.started_at,
        calls.start_ns,
        calls.owner_service,
        coalesce(calls.owner_agent, calls.owner_service, '?')  AS agent,
        outside.called_host,
        coalesce(trace_units.home_no, calls.trace_no)          AS home_no
    FROM calls
    INNER JOIN outside
        ON outside.callee = calls.callee
    LEFT JOIN trace_units
        ON trace_units.trace_no = calls.trace_no
    WHERE calls.kind = 'service'
        AND calls.observed_side = 'client'
),

-- A tool above a table is the same data by another name: only what has no access below it is read.
taken AS (
    SELECT
        accesses.agent,
        accesses.resource,
        accesses.sensitivity,
        accesses.is_sensitivity_inferred,
        coalesce(trace_units.home_no, accesses.trace_no)               AS home_no,
        calls.owner_service,
        lower(regexp_extract(calls.callee, '^(?:http|rpc):([^/]+)', 1))  AS called_host,
        calls.end_ns
    FROM accesses
    LEFT JOIN trace_units
        ON trace_units.trace_no = accesses.trace_no
    SEMI JOIN sent
        ON sent.home_no = coalesce(trace_units.home_no, accesses.trace_no)
    INNER JOIN calls
        ON calls.call_id = accesses.call_id
    ANTI JOIN passed
        ON passed.call_id = accesses.call_id
    WHERE accesses.access = 'read'
        AND NOT accesses.is_error
        AND len(list_filter(accesses.sensitivity, lambda tag: tag NOT IN ('public', 'internal'))) > 0
),

-- one row a call out and resource that the same agent had read by then in the same trace
followed AS (
    SELECT
        sent.call_id,
        taken.resource,
        any_value(sent.cohort)                                       AS cohort,
        any_value(sent.agent)                                        AS agent,
        any_value(sent.callee)                                       AS callee,
        any_value(sent.called_host)                                  AS called_host,
        any_value(sent.access)                                       AS access,
        any_value(sent.trace_id)                                     AS trace_id,
        any_value(sent.unit_id)                                      AS unit_id,
        any_value(sent.home_no)                                      AS home_no,
        any_value(sent.started_at)                                   AS started_at,
        bool_or(taken.owner_service = sent.owner_service)            AS is_one_clock,
        min(sent.start_ns - taken.end_ns) / 1e6                      AS after_ms,
        list_distinct(flatten(list(taken.sensitivity)))              AS sensitivity,
        bool_and(taken.is_sensitivity_inferred)                      AS is_sensitivity_inferred
    FROM sent
    INNER JOIN taken
        ON taken.home_no = sent.home_no
        AND taken.agent = sent.agent
        AND taken.end_ns <= sent.start_ns
        -- what goes back to where it came from
        AND taken.called_host IS DISTINCT FROM sent.called_host
    GROUP BY
        sent.call_id,
        taken.resource
)

SELECT
    cohort,
    agent,                                                               -- owner agent, else service
    resource,                                                            -- what was read
    callee,                                                              -- who was called after that
    any_value(called_host)                                  AS host,
    list_sort(list_distinct(flatten(list(sensitivity))))    AS tags,     -- of the resource, declared or hints from its name
    bool_and(is_sensitivity_inferred)                       AS is_sensitivity_inferred,
    count(*)                                                AS calls,    -- that went out after it
    count(*) FILTER (access IN ('write', 'delete', 'admin'))  AS writes,  -- of them, that carry something by their method
    count(DISTINCT home_no)                                 AS traces,
    count(DISTINCT home_no) FILTER (is_one_clock)           AS one_clock_traces,  -- read and sent by one service: the order is certain
    count(DISTINCT unit_id)                                 AS units,    -- conversations, else traces
    quantile_disc(after_ms, 0.5)                            AS after_p50_ms,  -- from the read's end to the call
    min(started_at)                                         AS first_at,
    max(started_at)                                         AS last_at,
    min_by(trace_id, (started_at, call_id))                 AS first_trace_id
FROM followed
GROUP BY
    cohort,
    agent,
    resource,
    callee
ORDER BY
    cohort,
    traces DESC,
    agent,
    resource,
    callee
