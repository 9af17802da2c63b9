-- At which turn of a conversation is state lost?
--
-- unit: turns
-- better: lower
-- grain: cohort, turn_index

WITH signals AS (
    SELECT
        cohort,
        environment,
        conversation_id,
        turn_index,
        bool_or(is_lost)             AS is_lost,
        bool_or(signal = 'S1')       AS has_s1,
        bool_or(signal = 'S2')       AS has_s2,
        bool_or(signal = 'S3')       AS has_s3,
        bool_or(signal = 'S6')       AS has_s6,
        bool_or(signal = 'S9')       AS has_s9
    FROM state_signals
    WHERE strength IN ('certain', 'strong')
        AND NOT is_inferred
    GROUP BY ALL
)
SELECT
    turns.cohort,
    turns.turn_index,
    count(*)                                          AS turns,
    count(signals.is_lost)                            AS judged_turns,   -- some certain or strong signal could be judged
    count(*) FILTER (WHERE signals.is_lost)           AS lost_turns,     -- and one of them says lost
    count(*) FILTER (WHERE signals.has_s1)            AS judged_by_s1,   -- context token
    count(*) FILTER (WHERE signals.has_s2)            AS judged_by_s2,   -- context version
    count(*) FILTER (WHERE signals.has_s3)            AS judged_by_s3,   -- conversation id within the turn
    count(*) FILTER (WHERE signals.has_s6)            AS judged_by_s6,   -- messages in the prompt
    count(*) FILTER (WHERE signals.has_s9)            AS judged_by_s9    -- reads of the session store
FROM turns
LEFT JOIN signals
    ON signals.cohort = turns.cohort
    AND signals.environment IS NOT DISTINCT FROM turns.environment
    AND signals.conversation_id = turns.conversation_id
    AND signals.turn_index = turns.turn_index
WHERE NOT turns.is_inferred
GROUP BY
    turns.cohort,
    turns.turn_index
ORDER BY
    turns.cohort,
    turns.turn_index
