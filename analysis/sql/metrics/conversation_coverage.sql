-- How many requests say which conversation they belong to?
--
-- unit: requests
-- better: higher
-- grain: cohort

WITH
inferred AS (
    SELECT
        cohort,
        sum(requests)  AS requests
    FROM turns
    WHERE is_inferred
    GROUP BY cohort
),
joined AS (
    SELECT
        cohort,
        count(*)  AS fragments
    FROM joins
    GROUP BY cohort
)
SELECT
    requests.cohort,
    count(*)                                                        AS conversing_requests,  -- an agent or a model worked
    count(requests.conversation_id)                                 AS named_requests,       -- with a conversation id
    coalesce(any_value(inferred.requests), 0)::BIGINT               AS inferred_requests,    -- put together by person and pause
    count(DISTINCT requests.conversation_id)                        AS conversations,
    count(*) FILTER (WHERE requests.is_resume)                      AS resumed_requests,     -- went on after an interrupt
    coalesce(any_value(joined.fragments), 0)                        AS joined_fragments      -- of other traces, surely theirs
FROM requests
LEFT JOIN inferred
    ON inferred.cohort = requests.cohort
LEFT JOIN joined
    ON joined.cohort = requests.cohort
WHERE requests.is_conversing
GROUP BY requests.cohort
ORDER BY requests.cohort
