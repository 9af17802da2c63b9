-- What is every agent made of, day by day?
--
-- unit: units
-- better: neither
-- grain: cohort, agent, day

WITH

-- one number a cohort and agent
agents AS MATERIALIZED (
    SELECT
        worker_no,
        cohort,
        owner_agent                                                     AS agent,
        owner_service || ' ' || service_version                         AS version,
        (dense_rank() OVER (ORDER BY cohort, owner_agent))::INTEGER     AS agent_no
    FROM workers
    WHERE owner_agent IS NOT NULL
),

-- Distinct first: what an agent is made of is little, however often it is used.
told AS (
    SELECT
        agents.cohort,
        agents.agent,
        agents.agent_no,
        met.day,
        boundaries.kind,
        CASE WHEN boundaries.kind IN ('model', 'tool', 'mcp', 'agent') THEN boundaries.callee END  AS callee,
        CASE WHEN boundaries.caller = 'agent:' || agents.agent THEN agents.version END             AS version,
        NULL::VARCHAR                                                                              AS model_parameters,
        met.calls
    FROM (
        SELECT
            boundary_no,
            worker_no,
            day,
            count(*)  AS calls
        FROM calls
        GROUP BY
            boundary_no,
            worker_no,
            day
    ) AS met
    INNER JOIN agents
        ON agents.worker_no = met.worker_no
    INNER JOIN boundaries
        ON boundaries.boundary_no = met.boundary_no
    UNION ALL BY NAME
    SELECT
        agents.cohort,
        agents.agent,
        agents.agent_no,
        met.day,
        met.model_parameters,
        0  AS calls
    FROM (
        SELECT DISTINCT
            worker_no,
            day,
            model_parameters
        FROM calls
        WHERE model_parameters IS NOT NULL
    ) AS met
    INNER JOIN agents
        ON agents.worker_no = met.worker_no
),

counted AS (
    SELECT
        agents.agent_no,
        calls.day,
        count_daily_units(calls.unit_no)  AS units
    FROM calls
    INNER JOIN agents
        ON agents.worker_no = calls.worker_no
    GROUP BY
        agents.agent_no,
        calls.day
),

of_models AS (
    SELECT
        agents.agent_no,
        calls.day,
        count_daily_units(calls.unit_no)  AS units
    FROM calls
    INNER JOIN agents
        ON agents.worker_no = calls.worker_no
    WHERE calls.boundary_no IN (SELECT boundary_no FROM boundaries WHERE kind = 'model')
    GROUP BY
        agents.agent_no,
        calls.day
),

made AS (
    SELECT
        cohort,
        agent,
        min(agent_no)                                                    AS agent_no,
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
    coalesce(of_models.units, 0)  AS model_units
FROM made
INNER JOIN counted
    ON counted.agent_no = made.agent_no
    AND counted.day = made.day
LEFT JOIN of_models
    ON of_models.agent_no = made.agent_no
    AND of_models.day = made.day
ORDER BY
    made.cohort,
    made.agent,
    made.day
