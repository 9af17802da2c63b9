-- How much was every agent seen at work?
--
-- unit: units
-- better: neither
-- grain: cohort, agent

WITH

worked AS (
    SELECT
        cohort,
        coalesce(owner_agent, owner_service, '?')  AS agent,
        count_units(unit_no)                       AS units,
        max(weight)                                AS weight,
        count(*)                                   AS calls,
        min(started_at)                            AS first_at,
        max(started_at)                            AS last_at
    FROM calls
    GROUP BY ALL
),

-- only where units count differently
weighed AS (
    SELECT
        cohort,
        agent,
        sum(weight)                    AS units,
        sum(weight)^2 / sum(weight^2)  AS n_eff
    FROM (
        SELECT
            cohort,
            coalesce(owner_agent, owner_service, '?')  AS agent,
            unit_no,
            avg(weight)                                AS weight
        FROM calls
        WHERE (
            SELECT min(weight) < max(weight)
            FROM calls
        )
        GROUP BY ALL
    )
    GROUP BY ALL
)

SELECT
    worked.cohort,
    worked.agent,                                -- owner agent, else service, as in accesses
    worked.units,                                -- conversations, else traces, in which it called anything
    coalesce(weighed.units, worked.units * worked.weight)  AS weighed_units,  -- units these stand for, where traces were sampled
    coalesce(weighed.n_eff, worked.units)  AS n_eff,  -- units of one weight that would tell as much (Kish)
    worked.calls,
    worked.first_at,
    worked.last_at
FROM worked
LEFT JOIN weighed
    ON weighed.cohort = worked.cohort
    AND weighed.agent = worked.agent
ORDER BY
    worked.cohort,
    worked.agent
