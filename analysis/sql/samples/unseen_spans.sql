-- What share of a cohort's spans and requests lacks what figures rest on?
--
-- unit: spans or requests
-- better: lower
-- grain: cohort, blind_spot

WITH

of_spans AS (
    SELECT
        cohort,
        sum(spans)::DOUBLE                AS spans,
        sum(tops)::DOUBLE                 AS tops,
        sum(agents)::DOUBLE               AS agents,
        sum(orphans)::DOUBLE              AS orphans,
        sum(remote)::DOUBLE               AS remote,
        sum(cut)::DOUBLE                  AS cut,
        sum(unfinished)::DOUBLE           AS unfinished,
        sum(unversioned)::DOUBLE          AS unversioned
    FROM sights
    GROUP BY cohort
),

of_requests AS (
    SELECT
        cohort,
        count(*)::DOUBLE                                    AS asked,
        count(*) FILTER (conversation_id IS NULL)::DOUBLE  AS unnamed
    FROM requests
    WHERE is_conversing
    GROUP BY cohort
)

SELECT
    cohort,
    blind_spot,
    found,             -- not seen
    total              -- of how many
FROM (
    SELECT
        cohort,
        unnest([
            {'blind_spot': 'missing_span', 'found': orphans, 'total': spans},
            {'blind_spot': 'missing_upstream', 'found': remote, 'total': tops},
            {'blind_spot': 'broken_context', 'found': cut, 'total': tops},
            {'blind_spot': 'unfinished', 'found': unfinished, 'total': spans},
            {'blind_spot': 'no_agent_version', 'found': unversioned, 'total': agents}
        ], recursive := true)
    FROM of_spans
    UNION ALL BY NAME
    SELECT
        cohort,
        'no_conversation'  AS blind_spot,
        unnamed            AS found,
        asked              AS total
    FROM of_requests
)
WHERE total > 0
ORDER BY
    cohort,
    blind_spot
