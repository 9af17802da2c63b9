-- How many turns did every agent and service work in, of which one went round in circles or never ended?
--
-- unit: turns
-- better: neither
-- grain: cohort, who, home_no

WITH

made AS (
    SELECT
        calls.cohort,
        calls.owner_agent,
        calls.owner_service,
        calls.start_ns,
        calls.trace_no,
        calls.unit_id,
        calls.weight,
        coalesce(trace_units.home_no, calls.trace_no)  AS home_no
    FROM calls
    SEMI JOIN (
        SELECT workers.worker_no
        FROM workers
        WHERE 'agent:' || workers.owner_agent IN (SELECT who FROM endless)
            OR 'service:' || workers.owner_service IN (SELECT who FROM endless)
    ) AS met
        ON met.worker_no = calls.worker_no
    LEFT JOIN trace_units
        ON trace_units.trace_no = calls.trace_no
    WHERE calls.kind IN ('model', 'tool', 'mcp', 'agent')
),

-- A trace with several turns is told apart by time.
worked AS (
    SELECT
        made.*,
        coalesce(turns.turn_id, made.home_no)  AS turn_no
    FROM made
    ASOF LEFT JOIN turns
        ON turns.trace_no = made.home_no
        AND turns.start_ns <= made.start_ns
)

SELECT
    cohort,
    who,                            -- agent:name or service:name
    arg_min(unit_id, (trace_no <> home_no, unit_id))  AS unit_id,  -- conversation, else trace
    home_no,
    count(DISTINCT turn_no)  AS turns,  -- one a trace, where no turn is told
    avg(weight)  AS weight          -- turns each stands for, where traces were sampled
FROM (
    SELECT
        *,
        'agent:' || owner_agent  AS who
    FROM worked
    WHERE owner_agent IS NOT NULL
    UNION ALL
    SELECT
        *,
        'service:' || owner_service
    FROM worked
    WHERE owner_service IS NOT NULL
)
GROUP BY
    cohort,
    who,
    home_no
ORDER BY
    cohort,
    who,
    home_no
