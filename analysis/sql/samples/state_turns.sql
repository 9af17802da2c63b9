-- Which turns lost state, of those that could be judged?
--
-- unit: turns
-- better: lower
-- grain: cohort, conversation_id, turn_index

SELECT
    cohort,
    environment,
    conversation_id,
    turn_index,
    bool_or(is_lost)                                            AS is_lost,   -- by a certain or a strong signal
    list_sort(list(signal) FILTER (WHERE is_lost))              AS signals,   -- that say so
    min(weight)                                                 AS weight,    -- turns this one stands for, where traces were sampled
    min(started_at)                                             AS started_at,
    arg_min(trace_id, signal)                                   AS trace_id
FROM state_signals
WHERE strength IN ('certain', 'strong')
    AND NOT is_inferred
GROUP BY
    cohort,
    environment,
    conversation_id,
    turn_index
ORDER BY
    cohort,
    conversation_id,
    environment,
    turn_index
