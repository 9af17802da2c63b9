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
),
-- one row a conversation and signal
met AS MATERIALIZED (
    SELECT
        cohort,
        signal,
        conversation_no,
        count(*)                                                AS judged_turns,
        count(*) FILTER (is_lost)                               AS lost_turns,
        min(started_at) FILTER (is_lost)                        AS lost_at
    FROM state_signals
    WHERE NOT is_inferred
    GROUP BY
        cohort,
        signal,
        conversation_no
),
told AS (
    SELECT
        cohort,
        signal,
        sum(judged_turns)::BIGINT                               AS judged_turns,
        sum(lost_turns)::BIGINT                                 AS lost_turns,
        count(*)                                                AS conversations,
        count(lost_at)                                          AS lost_conversations,
        min(lost_at)                                            AS lost_at
    FROM met
    GROUP BY
        cohort,
        signal
),
examples AS (
    SELECT
        state_signals.cohort,
        state_signals.signal,
        min(state_signals.trace_id)  AS trace_id
    FROM state_signals
    INNER JOIN told
        ON told.cohort = state_signals.cohort
        AND told.signal = state_signals.signal
        AND told.lost_at = state_signals.started_at
    WHERE state_signals.is_lost
        AND NOT state_signals.is_inferred
    GROUP BY
        state_signals.cohort,
        state_signals.signal
)
SELECT
    cohorts.cohort,
    kinds.signal,
    kinds.strength,
    kinds.meaning,
    kinds.needs,                                              -- attributes without which it is silent
    coalesce(told.judged_turns, 0)        AS judged_turns,
    coalesce(told.lost_turns, 0)          AS lost_turns,
    coalesce(told.conversations, 0)       AS conversations,   -- with a judged turn
    coalesce(told.lost_conversations, 0)  AS lost_conversations,
    examples.trace_id                     AS example_trace_id -- the first that lost
FROM cohorts
CROSS JOIN kinds
LEFT JOIN told
    ON told.cohort = cohorts.cohort
    AND told.signal = kinds.signal
LEFT JOIN examples
    ON examples.cohort = cohorts.cohort
    AND examples.signal = kinds.signal
ORDER BY
    cohorts.cohort,
    kinds.position
