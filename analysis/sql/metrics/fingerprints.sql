-- What is every agent made of, day by day?
--
-- unit: units
-- better: neither
-- grain: cohort, agent, day

SELECT
    cohort,
    owner_agent                                                              AS agent,
    day,                                                                     -- UTC
    -- A tool that nobody needed on a day is missing from that day's: a day is no proof of a change.
    substr(md5(concat_ws(chr(31),
        array_to_string(list_sort(list(DISTINCT owner_service || ' ' || service_version) FILTER (caller = 'agent:' || owner_agent)), chr(30)),
        array_to_string(list_sort(list(DISTINCT callee) FILTER (kind = 'model')), chr(30)),
        array_to_string(list_sort(list(DISTINCT model_parameters) FILTER (model_parameters IS NOT NULL)), chr(30)),
        array_to_string(list_sort(list(DISTINCT callee) FILTER (kind IN ('tool', 'mcp', 'agent'))), chr(30))
    )), 1, 12)                                                               AS fingerprint,
    list_sort(list(DISTINCT owner_service || ' ' || service_version)
        FILTER (caller = 'agent:' || owner_agent AND service_version IS NOT NULL))  AS versions,  -- of the services it runs in
    list_sort(list(DISTINCT callee) FILTER (kind = 'model'))                 AS models,
    list_sort(list(DISTINCT model_parameters)
        FILTER (model_parameters IS NOT NULL))                               AS parameters,  -- that models were asked with
    list_sort(list(DISTINCT callee) FILTER (kind IN ('tool', 'mcp')))        AS tools,   -- that it called
    list_sort(list(DISTINCT callee) FILTER (kind = 'agent'))                 AS handoffs,
    count(*)                                                                 AS calls,
    count(DISTINCT unit_id)                                                  AS units,   -- conversations, else traces
    count(DISTINCT unit_id) FILTER (kind = 'model')                          AS model_units
FROM calls
WHERE owner_agent IS NOT NULL
GROUP BY
    cohort,
    owner_agent,
    day
ORDER BY
    cohort,
    owner_agent,
    day
