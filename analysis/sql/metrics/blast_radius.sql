-- Whom did the failures of each handoff reach?
--
-- unit: requests
-- better: lower
-- grain: cohort, boundary_id, unit_id

WITH of_units AS (
    SELECT
        cohort,
        unit_no,
        count(*)  AS requests
    FROM requests
    WHERE unit_no IN (
        SELECT met.unit_no
        FROM requests AS met
        SEMI JOIN failures
            ON failures.request_id = met.request_id
    )
    GROUP BY
        cohort,
        unit_no
)

SELECT
    requests.cohort,
    failures.boundary_id,                                             -- null: a failure of no handoff
    requests.unit_id,                                                 -- conversation, else trace: what is independent
    count(*)                                       AS failures,
    count(DISTINCT requests.request_id)            AS requests,       -- that met one
    count(DISTINCT requests.request_id) FILTER (failures.is_visible)  AS visible_requests,  -- that it reached the top of
    any_value(of_units.requests)                   AS of_requests,    -- of the unit, in all
    any_value(requests.conversation_id)            AS conversation_id,
    list_sort(list(DISTINCT requests.tenant))      AS tenants,        -- empty where none is told
    list_sort(list(DISTINCT requests.operation))   AS operations,
    sum(failures.is_origin::INTEGER)::BIGINT       AS origins,
    coalesce(sum(failures.origin_weight) FILTER (failures.is_visible), 0)  AS visible_weight,  -- failed requests owed to it
    count(*) FILTER (failures.call_id IS NOT NULL)  AS failing_calls,
    count(*) FILTER (
        failures.call_id IS NOT NULL
        AND failures.parent_failure_id IS NULL
        AND failures.outcome NOT IN ('root', 'async', 'absorbed_in_call')
    )                                              AS absorbed       -- that the caller kept to itself
FROM failures
INNER JOIN requests
    ON requests.request_id = failures.request_id
INNER JOIN of_units
    ON of_units.cohort = requests.cohort
    AND of_units.unit_no = requests.unit_no
GROUP BY
    requests.cohort,
    failures.boundary_id,
    requests.unit_id
ORDER BY
    requests.cohort,
    failures.boundary_id,
    requests.unit_id
