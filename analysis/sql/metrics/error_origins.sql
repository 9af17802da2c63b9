-- Where do errors start, and how many of them does the user see?
--
-- unit: failed requests
-- better: lower
-- grain: cohort, boundary_id

WITH

boundaries AS (
    SELECT
        cohort,
        boundary_id,
        any_value(caller)  AS caller,
        any_value(kind)    AS kind,
        any_value(callee)  AS callee
    FROM calls
    GROUP BY
        cohort,
        boundary_id
),

-- what fails in a part of another request, told in another trace, no user has seen by itself
seen AS (
    SELECT
        failures.* REPLACE (is_visible AND joins.node_id IS NULL AS is_visible)
    FROM failures
    LEFT JOIN joins
        ON joins.node_id = failures.request_id
),

-- how far a failure carries: itself and every failing span above it
told AS (
    SELECT
        cohort,
        boundary_id,
        count(*)                                                                 AS failures,
        count(*) FILTER (is_origin)                                              AS origins,
        coalesce(sum(origin_weight) FILTER (is_visible), 0)                      AS visible_weight,
        sum(hops + 1) FILTER (is_origin)                                         AS carried,
        count(*) FILTER (parent_failure_id IS NULL AND outcome NOT IN ('root'))  AS absorbed,
        count(DISTINCT request_id)                                               AS requests
    FROM seen
    GROUP BY
        cohort,
        boundary_id
)

SELECT
    told.cohort,
    told.boundary_id,
    boundaries.caller || ' → ' || boundaries.callee  AS boundary,  -- null: failures that no handoff explains
    boundaries.caller,
    boundaries.kind,
    boundaries.callee,
    told.failures,                                                 -- failing calls
    told.origins,                                                  -- failures that began here
    told.visible_weight,                                           -- failed requests owed to it; these add up
    CASE
        WHEN told.origins > 0 THEN told.visible_weight / told.origins
    END                                              AS escape_ratio,  -- share of its failures that reach the user
    CASE
        WHEN told.origins > 0 THEN told.carried / told.origins
    END                                              AS spread,    -- failing spans a failure leaves behind
    told.absorbed,                                                 -- failures that went no further
    told.requests                                                  -- requests it failed in
FROM told
LEFT JOIN boundaries
    ON boundaries.cohort = told.cohort
    AND boundaries.boundary_id = told.boundary_id
ORDER BY
    told.visible_weight DESC,
    told.failures DESC,
    told.cohort,
    told.boundary_id
