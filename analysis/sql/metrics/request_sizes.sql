-- How many requests do conversations make?
--
-- unit: units
-- better: neither
-- grain: cohort, requests

WITH

sized AS (
    SELECT
        cohort,
        count(*)                                                   AS requests,
        count(*) FILTER (conversation_id IS NOT NULL) > 0          AS is_conversation
    FROM requests
    GROUP BY
        cohort,
        unit_no
),

named AS (
    SELECT
        cohort,
        count(DISTINCT tenant)  AS tenants
    FROM requests
    WHERE tenant IS NOT NULL
    GROUP BY cohort
)

SELECT
    sized.cohort,
    sized.requests,                                          -- of one unit
    count(*)                                 AS units,       -- conversations, else traces, with so many
    count(*) FILTER (sized.is_conversation)  AS conversations,
    coalesce(any_value(named.tenants), 0)    AS tenants      -- in all the cohort
FROM sized
LEFT JOIN named
    ON named.cohort = sized.cohort
GROUP BY
    sized.cohort,
    sized.requests
ORDER BY
    sized.cohort,
    sized.requests
