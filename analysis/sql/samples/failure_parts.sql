-- How many requests failed by what began at each handoff?
--
-- unit: requests
-- better: lower
-- grain: cohort, operation, boundary_id, bucket

WITH

named AS (
    SELECT
        boundary_id,
        any_value(caller)  AS caller,
        mode(
            CASE
                WHEN kind IN ('service', 'ui') AND callee_service IS NOT NULL THEN 'service:' || callee_service
                ELSE callee
            END
        )                  AS place
    FROM calls
    GROUP BY boundary_id
),

origins AS (
    SELECT
        requests.cohort,
        requests.operation,
        requests.bucket,
        requests.unit_id,
        failures.boundary_id,
        coalesce(named.place, 'service:' || coalesce(requests.service, '?'))  AS place,
        failures.origin_weight * requests.weight                              AS failed
    FROM failures
    INNER JOIN requests
        ON requests.request_id = failures.request_id
    LEFT JOIN named
        ON named.boundary_id = failures.boundary_id
    WHERE failures.is_origin
        AND failures.is_visible
    UNION ALL BY NAME
    -- a row a request, so that what is counted here are all requests
    SELECT
        cohort,
        operation,
        bucket,
        unit_id,
        'service:' || coalesce(service, '?')  AS place,
        weight
    FROM requests
)

SELECT
    cohort,
    operation,
    boundary_id,                               -- null: began in no handoff
    bucket,                                    -- hash of the unit, 0 to 99, for the bootstrap
    mode(place)                  AS place,     -- who was asked: a service, an agent, a model ...
    count(weight)                AS requests,  -- all of the operation; said where boundary_id is null
    coalesce(sum(weight), 0.0)   AS weighed_requests,  -- requests these stand for, where traces were sampled
    count(failed)                AS origins,   -- failures that began here and reached the user
    coalesce(sum(failed), 0.0)   AS failed     -- failed requests owed to it; these add up to all of them
FROM origins
GROUP BY
    cohort,
    operation,
    boundary_id,
    bucket
ORDER BY
    cohort,
    operation,
    boundary_id,
    bucket
