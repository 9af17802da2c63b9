-- How much was every agent seen at work?
--
-- unit: units
-- better: neither
-- grain: cohort, agent

WITH

-- the unit of what a trace made: its own request's, or that of the trace it surely is a part of
homes AS (
    SELECT
        joins.trace_no,
        min(joins.joined_trace_no)  AS home_no,
        min(requests.unit_id)       AS unit_id
    FROM joins
    INNER JOIN requests
        ON requests.trace_no = joins.joined_trace_no
    ANTI JOIN requests AS own
        ON own.trace_no = joins.trace_no
    GROUP BY joins.trace_no
    HAVING min(requests.unit_id) = max(requests.unit_id)
        AND min(joins.joined_trace_no) = max(joins.joined_trace_no)
),

worked AS (
    SELECT
        calls.cohort,
        coalesce(calls.owner_agent, calls.owner_service, '?')  AS agent,
        coalesce(homes.unit_id, calls.unit_id)                 AS unit_id,
        count(*)                                               AS calls,
        avg(calls.weight)                                      AS weight,
        min(calls.started_at)                                  AS first_at,
        max(calls.started_at)                                  AS last_at
    FROM calls
    LEFT JOIN homes
        ON homes.trace_no = calls.trace_no
    GROUP BY ALL
)

SELECT
    cohort,
    agent,                                       -- owner agent, else service, as in accesses
    count(*)                    AS units,        -- conversations, else traces, in which it called anything
    sum(weight)                 AS weighed_units,  -- units these stand for, where traces were sampled
    sum(weight)^2 / sum(weight^2)  AS n_eff,     -- units of one weight that would tell as much (Kish)
    sum(calls)::BIGINT          AS calls,
    min(first_at)               AS first_at,
    max(last_at)                AS last_at
FROM worked
GROUP BY
    cohort,
    agent
ORDER BY
    cohort,
    agent
