-- Which turns went round in circles, or never came to an end?
--
-- unit: turns
-- better: lower
-- grain: cohort, pattern, who, turn_no, cycle

SELECT
    cohort,
    pattern,                                        -- loop, ping-pong, stopped by a limit, no end seen
    who,                                            -- agent:name or service:name
    cycle,
    turn_no,
    trace_no  AS home_no,                           -- the trace of the turn
    unit_id,                                        -- conversation, else trace
    trace_id,
    started_at,
    repeats,                                        -- of the cycle, handoffs of a rally
    calls,                                          -- beyond the first round; of a turn in all where it has no end
    failed,
    wall_ms,                                        -- the same, wall time
    input_tokens,
    output_tokens,
    cost_usd
FROM endless
WHERE pattern <> 'no end seen'
    -- Where most are like that, the rest of them is not in the data.
    OR (cohort, who) IN (
        SELECT (cohort, who)
        FROM open_traces
        GROUP BY
            cohort,
            who
        HAVING avg(is_open::INTEGER) <= 0.5
    )
ORDER BY
    cohort,
    pattern,
    who,
    started_at,
    turn_no
