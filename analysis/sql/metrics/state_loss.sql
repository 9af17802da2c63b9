-- At which turn of a conversation is state lost?
--
-- unit: turns
-- better: lower
-- grain: cohort, turn_index

SELECT
    told.cohort,
    told.turn_index,
    told.turns,
    coalesce(judged.judged_turns, 0)   AS judged_turns,   -- some certain or strong signal could be judged
    coalesce(judged.lost_turns, 0)     AS lost_turns,     -- and one of them says lost
    coalesce(judged.judged_by_s1, 0)   AS judged_by_s1,   -- context token
    coalesce(judged.judged_by_s2, 0)   AS judged_by_s2,   -- context version
    coalesce(judged.judged_by_s3, 0)   AS judged_by_s3,   -- conversation id within the turn
    coalesce(judged.judged_by_s6, 0)   AS judged_by_s6,   -- messages in the prompt
    coalesce(judged.judged_by_s9, 0)   AS judged_by_s9    -- reads of the session store
FROM (
    SELECT
        cohort,
        turn_index,
        count(*)  AS turns
    FROM turns
    WHERE NOT is_inferred
    GROUP BY
        cohort,
        turn_index
) AS told
LEFT JOIN (
    SELECT
        cohort,
        turn_index,
        count(*)                    AS judged_turns,
        count(*) FILTER (is_lost)   AS lost_turns,
        count(*) FILTER (has_s1)    AS judged_by_s1,
        count(*) FILTER (has_s2)    AS judged_by_s2,
        count(*) FILTER (has_s3)    AS judged_by_s3,
        count(*) FILTER (has_s6)    AS judged_by_s6,
        count(*) FILTER (has_s9)    AS judged_by_s9
    FROM judged_turns
    GROUP BY
        cohort,
        turn_index
) AS judged
    ON judged.cohort = told.cohort
    AND judged.turn_index = told.turn_index
ORDER BY
    told.cohort,
    told.turn_index
