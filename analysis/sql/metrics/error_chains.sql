-- Which ways do errors take from where they start?
--
-- unit: chains
-- better: lower
-- grain: cohort, path, error_class

WITH

-- what fails in a part of another request, told in another trace, no user has seen by itself
seen AS (
    SELECT
        failures.* REPLACE (is_visible AND joins.node_id IS NULL AS is_visible)
    FROM failures
    LEFT JOIN joins
        ON joins.node_id = failures.request_id
)

SELECT
    cohort,
    path,                                                                    -- origin → ... → top
    count(*)                                               AS chains,        -- failures that took this way
    count(*) FILTER (is_visible)                           AS visible,       -- of them, those the user saw
    coalesce(sum(origin_weight) FILTER (is_visible), 0)    AS weight,        -- failed requests owed to it
    max(hops)                                              AS hops,          -- steps from origin to top
    error_class,
    min_by(trace_id, (started_at, failure_id))             AS example_trace_id,
    min(started_at)                                        AS first_at
FROM seen
WHERE is_origin
GROUP BY
    cohort,
    path,
    error_class
ORDER BY
    weight DESC,
    chains DESC,
    cohort,
    path,
    error_class
