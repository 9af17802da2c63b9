-- What is every agent made of, day by day?
--
-- unit: units
-- better: neither
-- grain: cohort, agent, day

WITH

-- Distinct first: what an agent is made of is little, however often it is used.
told AS (
    SELECT
        cohort,
        owner_agent  AS agent,
        day,
        kind,
        CASE WHEN kind IN ('model', 'tool', 'mcp', 'agent') THEN callee END                       AS callee,
        CASE WHEN caller = 'agent:' || owner_agent THEN owner_service || ' ' || service_version END  AS version,
        model_parameters,
        count(*)     AS calls
    FROM calls
    WHERE owner_agent IS NOT NULL
    GROUP BY ALL
),

counted AS (
    SELECT
        cohort,
        owner_agent                                               AS agent,
        day,
        count_daily_units(unit_no)                                AS units,
        count_daily_units(CASE WHEN kind = 'model' THEN unit_no END)  AS model_units
    FROM calls
    WHERE owner_agent IS NOT NULL
    GROUP BY
        cohort,
        owner_agent,
        day
),

made AS (
    SELECT
        cohort,
        agent,
        day,
        list_sort(list(DISTINCT version))                                AS versions,
        list_sort(list(DISTINCT callee) FILTER (kind = 'model'))         AS models,
        list_sort(list(DISTINCT model_parameters) FILTER (model_parameters IS NOT NULL))  AS parameters,
        list_sort(list(DISTINCT callee) FILTER (kind IN ('tool', 'mcp')))  AS tools,
        list_sort(list(DISTINCT callee) FILTER (kind = 'agent'))         AS handoffs,
        list_sort(list(DISTINCT callee) FILTER (kind IN ('tool', 'mcp', 'agent')))  AS callees,
        sum(calls)::BIGINT                                               AS calls
    FROM told
    GROUP BY
        cohort,
        agent,
        day
)

SELECT
    made.cohort,
    made.agent,
    made.day,                                                -- UTC
    -- A tool that nobody needed on a day is missing from that day's: a day is no proof of a change.
    substr(md5(concat_ws(chr(31),
        array_to_string(made.versions, chr(30)),
        array_to_string(made.models, chr(30)),
        array_to_string(made.parameters, chr(30)),
        array_to_string(made.callees, chr(30))
    )), 1, 12)                                               AS fingerprint,
    list_filter(made.versions, lambda version: version IS NOT NULL)  AS versions,  -- of the services it runs in
    made.models,
    made.parameters,                                         -- that models were asked with
    made.tools,                                              -- that it called
    made.handoffs,
    made.calls,
    counted.units,                                           -- conversations, else traces
    counted.model_units
FROM made
INNER JOIN counted
    ON counted.cohort = made.cohort
    AND counted.agent = made.agent
    AND counted.day = made.day
ORDER BY
    made.cohort,
    made.agent,
    made.day
