-- endless: one row a circle, a rally of handoffs, or a turn that a limit or nothing ended (METHODS.md, loops).
--
-- `trace_no` is the trace whose turn it was. Whether an end that is not seen means anything, all traces of a
-- service tell: metrics/endless.sql asks them.

CREATE OR REPLACE TABLE endless AS
WITH

made AS (
    SELECT
        calls.*,
        coalesce(trace_units.home_no, calls.trace_no)  AS home_no
    FROM calls
    LEFT JOIN trace_units
        ON trace_units.trace_no = calls.trace_no
    WHERE calls.kind NOT IN ('guardrail', 'evaluator')
),

-- A trace with several turns is told apart by time.
placed AS (
    SELECT
        made.*,
        coalesce(turns.turn_id, made.home_no)  AS turn_no
    FROM made
    ASOF LEFT JOIN turns
        ON turns.trace_no = made.home_no
        AND turns.start_ns <= made.start_ns
),

-- Each answer of an agent's model begins a step: what is called after it, the model has decided on.
decided AS (
    SELECT
        placed.*,
        state_marks.args_hash,
        count(*) FILTER (placed.kind = 'model') OVER (
            PARTITION BY placed.caller_id, placed.turn_no
            ORDER BY placed.start_ns, placed.call_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        )  AS step
    FROM placed
    LEFT JOIN state_marks
        ON state_marks.node_id = placed.call_id
    WHERE placed.caller_id IS NOT NULL
        AND placed.owner_agent IS NOT NULL
),

-- one row a step, what it called however often and in which order
steps AS (
    SELECT
        caller_id,
        turn_no,
        step,
        list_sort(list_distinct(list(callee) FILTER (kind <> 'model')))                  AS callees,
        -- null where one of them does not tell its arguments
        CASE
            WHEN count(*) FILTER (kind <> 'model' AND args_hash IS NULL) = 0
            THEN list_sort(list(callee || ' ' || args_hash) FILTER (kind <> 'model'))
        END                                                                              AS arguments,
        any_value(cohort)                                                                AS cohort,
        any_value(owner_service)                                                         AS service,
        any_value(pilot_variant)                                                         AS pilot_variant,
        any_value(owner_agent)                                                           AS agent,
        any_value(home_no)                                                               AS home_no,
        any_value(trace_id)                                                              AS trace_id,
        any_value(unit_id)                                                               AS unit_id,
        min(started_at)                                                                  AS started_at,
        min(start_ns)                                                                    AS start_ns,
        max(end_ns)                                                                      AS end_ns,
        count(*)                                                                         AS calls,
        count(*) FILTER (is_error)                                                       AS failed,
        sum(input_tokens)                                                                AS input_tokens,
        sum(output_tokens)                                                               AS output_tokens,
        sum(cost_usd)                                                                    AS cost_usd
    FROM decided
    WHERE step > 0
    GROUP BY
        caller_id,
        turn_no,
        step
),

-- what a step repeats: the one before it, or the one two or three before, where those differ among themselves
compared AS (
    SELECT
        steps.*,
        periods.period,
        CASE periods.period
            WHEN 1 THEN steps.callees = lag(callees, 1) OVER run
            WHEN 2 THEN steps.callees = lag(callees, 2) OVER run AND steps.callees <> lag(callees, 1) OVER run
            ELSE steps.callees = lag(callees, 3) OVER run
                AND NOT (steps.callees = lag(callees, 1) OVER run AND steps.callees = lag(callees, 2) OVER run)
        END IS TRUE AND len(steps.callees) > 0                                           AS is_again,
        CASE periods.period
            WHEN 1 THEN steps.arguments = lag(arguments, 1) OVER run
            WHEN 2 THEN steps.arguments = lag(arguments, 2) OVER run
            ELSE steps.arguments = lag(arguments, 3) OVER run
        END IS TRUE                                                                      AS is_same
    FROM steps
    CROSS JOIN (VALUES (1), (2), (3)) AS periods(period)
    WINDOW run AS (PARTITION BY caller_id, turn_no, periods.period ORDER BY step)
),

-- how often each cycle came one after another: with the same arguments, and with any
rounds AS (
    SELECT
        *,
        sum((NOT (is_again AND (is_same OR NOT needs_same)))::BIGINT) OVER (
            PARTITION BY caller_id, turn_no, period, needs_same
            ORDER BY step
        )  AS island
    FROM compared
    CROSS JOIN (VALUES (true), (false)) AS needs(needs_same)
),

circles AS (
    SELECT
        caller_id,
        turn_no,
        period,
        needs_same,
        count(*) // period + 1                                                           AS repeats,
        list(callees ORDER BY step)[1:period]                                            AS cycle,
        any_value(cohort)                                                                AS cohort,
        any_value(service)                                                               AS service,
        any_value(pilot_variant)                                                         AS pilot_variant,
        any_value(agent)                                                                 AS agent,
        any_value(home_no)                                                               AS home_no,
        any_value(trace_id)                                                              AS trace_id,
        any_value(unit_id)                                                               AS unit_id,
        min(started_at)                                                                  AS started_at,
        (max(end_ns) - min(start_ns)) / 1e6                                              AS wall_ms,
        sum(calls)::BIGINT                                                               AS calls,
        sum(failed)::BIGINT                                                              AS failed,
        sum(input_tokens)::BIGINT                                                        AS input_tokens,
        sum(output_tokens)::BIGINT                                                       AS output_tokens,
        sum(cost_usd)                                                                    AS cost_usd
    FROM rounds
    WHERE is_again
        AND (is_same OR NOT needs_same)
    GROUP BY
        caller_id,
        turn_no,
        period,
        needs_same,
        island
    -- With the same arguments the third time can bring nothing new; with others an agent may well be looking on.
    HAVING count(*) // period + 1 >= CASE WHEN needs_same THEN 3 ELSE 5 END
    -- One circle is told once: by its arguments where they tell it, else by its shortest period.
    QUALIFY row_number() OVER (PARTITION BY caller_id, turn_no ORDER BY needs_same DESC, count(*) DESC, period, island) = 1
),

handed AS (
    SELECT
        turn_no,
        call_id,
        start_ns,
        end_ns,
        started_at,
        cohort,
        owner_service  AS service,
        pilot_variant,
        home_no,
        trace_id,
        unit_id,
        substr(caller, 7)  AS giver,
        substr(callee, 7)  AS taker
    FROM placed
    WHERE kind = 'agent'
        AND starts_with(caller, 'agent:')
        AND starts_with(callee, 'agent:')
        AND caller <> callee
        AND caller <> 'agent:?'
        AND callee <> 'agent:?'
),

returned AS (
    SELECT
        *,
        sum((NOT is_back)::BIGINT) OVER (PARTITION BY turn_no ORDER BY start_ns, call_id)  AS island
    FROM (
        SELECT
            *,
            coalesce(
                giver = lag(taker) OVER in_turn AND taker = lag(giver) OVER in_turn,
                false
            )  AS is_back
        FROM handed
        WINDOW in_turn AS (PARTITION BY turn_no ORDER BY start_ns, call_id)
    )
),

rallies AS (
    SELECT
        turn_no,
        island,
        any_value(cohort)                            AS cohort,
        any_value(service)                           AS service,
        any_value(pilot_variant)                     AS pilot_variant,
        arg_min(giver, start_ns)                     AS giver,
        arg_min(taker, start_ns)                     AS taker,
        any_value(home_no)                           AS home_no,
        arg_min(trace_id, start_ns)                  AS trace_id,
        any_value(unit_id)                           AS unit_id,
        min(started_at)                              AS started_at,
        min(start_ns)                                AS start_ns,
        max(end_ns)                                  AS end_ns,
        count(*)                                     AS handoffs
    FROM returned
    GROUP BY
        turn_no,
        island
    -- there, back and there again: one question back is an answer's price
    HAVING count(*) >= 3
),

told_rallies AS (
    SELECT
        rallies.*,
        spent.input_tokens,
        spent.output_tokens,
        spent.cost_usd
    FROM rallies
    LEFT JOIN (
        SELECT
            rallies.turn_no,
            rallies.island,
            sum(placed.input_tokens)::BIGINT         AS input_tokens,
            sum(placed.output_tokens)::BIGINT        AS output_tokens,
            sum(placed.cost_usd)                     AS cost_usd
        FROM rallies
        INNER JOIN placed
            ON placed.turn_no = rallies.turn_no
            AND placed.owner_agent IN (rallies.giver, rallies.taker)
            AND placed.start_ns BETWEEN rallies.start_ns AND rallies.end_ns
        GROUP BY
            rallies.turn_no,
            rallies.island
    ) AS spent
        ON spent.turn_no = rallies.turn_no
        AND spent.island = rallies.island
),

-- what a turn took in all, for those that a limit ended, or nothing
spent AS (
    SELECT
        turn_no,
        any_value(cohort)                            AS cohort,
        any_value(owner_service)                     AS service,
        any_value(pilot_variant)                     AS pilot_variant,
        any_value(home_no)                           AS home_no,
        arg_min(trace_id, start_ns)                  AS trace_id,
        any_value(unit_id)                           AS unit_id,
        min(started_at)                              AS started_at,
        (max(end_ns) - min(start_ns)) / 1e6          AS wall_ms,
        count(*)                                     AS calls,
        count(*) FILTER (is_error)                   AS failed,
        sum(input_tokens)::BIGINT                    AS input_tokens,
        sum(output_tokens)::BIGINT                   AS output_tokens,
        sum(cost_usd)                                AS cost_usd
    FROM placed
    GROUP BY turn_no
),

limited AS (
    SELECT
        placed.turn_no,
        coalesce('agent:' || any_value(named.label), 'service:' || any_value(named.service))  AS who
    FROM (
        SELECT
            coalesce(agents.node_id, nodes.node_id)  AS node_id,
            coalesce(agents.label, CASE WHEN nodes.type IN ('agent', 'workflow') THEN nodes.label END)  AS label,
            nodes.service,
            nodes.trace_no,
            nodes.end_ns
        FROM nodes
        LEFT JOIN nodes AS agents
            ON agents.node_id = nodes.agent_id
            AND nodes.type NOT IN ('agent', 'workflow')
        WHERE nodes.is_error
            AND regexp_matches(
                concat_ws(chr(10), nodes.error_type, nodes.exception_type, nodes.status_message, nodes.exception_message),
                'GraphRecursionError|\bRecursionError\b|MaxTurnsExceeded|AgentMaxStepsError|LlmCallsLimitExceeded'
                || '|Max(NumberOf)?Iterations?(Exceeded|Reached|Error)|UsageLimitExceeded[\s\S]*(request|tool_calls)_limit'
                || '|(?i:recursion limit of|max(imum)?( number of)? (turns|steps|iterations|rounds)( \([^)]*\))? (was |were )?(exceeded|reached)'
                || '|(reached|exceeded)( the)? max(imum)?( number of)? (turns|steps|iterations|rounds)'
                || '|stopped due to (iteration|max iterations))'
            )
    ) AS named
    LEFT JOIN trace_units
        ON trace_units.trace_no = named.trace_no
    ASOF INNER JOIN (
        SELECT
            turn_no,
            home_no,
            min(start_ns)  AS start_ns
        FROM placed
        GROUP BY
            turn_no,
            home_no
    ) AS placed
        ON placed.home_no = coalesce(trace_units.home_no, named.trace_no)
        AND placed.start_ns <= named.end_ns
    GROUP BY placed.turn_no
)

SELECT
    home_no  AS trace_no,
    cohort,
    service,
    pilot_variant,
    CASE WHEN needs_same THEN 'loop with the same arguments' ELSE 'loop' END  AS pattern,
    'agent:' || agent  AS who,
    array_to_string(list_transform(cycle, lambda step: array_to_string(step, ' + ')), ' → ')  AS cycle,
    turn_no,
    unit_id,
    trace_id,
    started_at,
    repeats,
    calls,
    failed,
    wall_ms,
    input_tokens,
    output_tokens,
    cost_usd
FROM circles
UNION ALL BY NAME
SELECT
    home_no  AS trace_no,
    cohort,
    service,
    pilot_variant,
    'ping-pong'  AS pattern,
    'agent:' || giver  AS who,
    least(giver, taker) || ' ⇄ ' || greatest(giver, taker)  AS cycle,
    turn_no,
    unit_id,
    trace_id,
    started_at,
    handoffs  AS repeats,
    handoffs  AS calls,
    (end_ns - start_ns) / 1e6  AS wall_ms,
    input_tokens,
    output_tokens,
    cost_usd
FROM told_rallies
UNION ALL BY NAME
SELECT
    spent.home_no  AS trace_no,
    spent.cohort,
    spent.service,
    spent.pilot_variant,
    'stopped by a limit'  AS pattern,
    limited.who,
    spent.turn_no,
    spent.unit_id,
    spent.trace_id,
    spent.started_at,
    spent.calls,
    spent.failed,
    spent.wall_ms,
    spent.input_tokens,
    spent.output_tokens,
    spent.cost_usd
FROM limited
INNER JOIN spent
    ON spent.turn_no = limited.turn_no
UNION ALL BY NAME
SELECT
    spent.home_no  AS trace_no,
    spent.cohort,
    spent.service,
    spent.pilot_variant,
    'no end seen'  AS pattern,
    open_traces.who,
    spent.turn_no,
    spent.unit_id,
    spent.trace_id,
    spent.started_at,
    spent.calls,
    spent.failed,
    spent.wall_ms,
    spent.input_tokens,
    spent.output_tokens,
    spent.cost_usd
FROM open_traces
INNER JOIN spent
    ON spent.home_no = open_traces.trace_no
WHERE open_traces.is_open;
