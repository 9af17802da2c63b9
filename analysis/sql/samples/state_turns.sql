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
    is_lost,                                -- by a certain or a strong signal
    signals,                                -- that say so
    weight,                                 -- turns this one stands for, where traces were sampled
    started_at,
    trace_id
FROM judged_turns
ORDER BY
    cohort,
    conversation_id,
    environment,
    turn_index
