-- What do the signals of state loss say, and which could not be measured?
--
-- unit: turns
-- better: lower
-- grain: cohort, signal

WITH
kinds(position, signal, strength, meaning, needs) AS (
    VALUES
        (1, 'S1', 'certain', 'context token is not the one the last turn gave', 'orch.context.hash.in and .out'),
        (2, 'S2', 'certain', 'context version stepped back or left one out', 'orch.context.version'),
        (3, 'S3', 'strong', 'conversation id lost within a turn', 'conversation ids on both sides of a handoff'),
        (4, 'S4', 'medium', 'same person, new conversation, same question', 'user ids, hashes of the input'),
        (5, 'S5', 'medium', 'prompt is much shorter than in the last turn', 'input tokens'),
        (6, 'S6', 'strong', 'fewer messages in the prompt', 'counts of input messages'),
        (7, 'S7', 'medium', 'a read-only tool is asked the same again', 'hashes of tool arguments'),
        (8, 'S8', 'medium', 'the same question again', 'hashes of the input'),
        (9, 'S9', 'strong', 'session store has nothing', 'rows returned, hits of a session store'),
        (10, 'S10', 'medium', 'graph starts over', 'langgraph_step'),
        (11, 'S11', 'weak', 'no prompt prefix in the provider''s cache', 'cached input tokens'),
        (12, 'S12', 'medium', 'two requests of a conversation write the same at once', 'accesses'),
        (13, 'S13', 'risk', 'session is read and written without a version', 'accesses')
),
cohorts AS (
    SELECT DISTINCT cohort
    FROM turns
)
SELECT
    cohorts.cohort,
    kinds.signal,
    kinds.strength,
    kinds.meaning,
    kinds.needs,                                                                     -- attributes without which it is silent
    count(state_signals.signal)                                     AS judged_turns,
    count(*) FILTER (WHERE state_signals.is_lost)                   AS lost_turns,
    count(DISTINCT state_signals.conversation_id)                   AS conversations,  -- with a judged turn
    count(DISTINCT state_signals.conversation_id)
        FILTER (WHERE state_signals.is_lost)                        AS lost_conversations,
    arg_min(state_signals.trace_id, state_signals.started_at)
        FILTER (WHERE state_signals.is_lost)                        AS example_trace_id  -- the first that lost
FROM cohorts
CROSS JOIN kinds
LEFT JOIN state_signals
    ON state_signals.cohort = cohorts.cohort
    AND state_signals.signal = kinds.signal
    AND NOT state_signals.is_inferred
GROUP BY
    cohorts.cohort,
    kinds.position,
    kinds.signal,
    kinds.strength,
    kinds.meaning,
    kinds.needs
ORDER BY
    cohorts.cohort,
    kinds.position
