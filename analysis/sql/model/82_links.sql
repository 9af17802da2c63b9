-- links: one row a failing unit, with the failing unit above it, if its failure went on (METHODS.md, error chains).
--
-- Where a unit between them set no status the link is inferred. Causes of one failure share it.

CREATE OR REPLACE TEMP TABLE failing AS
SELECT
    units.*,
    coalesce(tries.logical_id, units.unit_id)    AS logical_id,
    coalesce(tries.failed_tries, 1)              AS failed_tries,
    coalesce(tries.is_mended, false)             AS is_mended
FROM units
LEFT JOIN tries
    ON tries.unit_id = units.unit_id
WHERE units.is_error;

CREATE OR REPLACE TEMP TABLE passed_on AS
WITH

open_ends AS (
    SELECT
        failing.unit_id,
        upward.above_id,
        upward.steps,
        failing.logical_id,
        failing.failed_tries
    FROM ascents
    INNER JOIN ascents_walked AS upward
        ON upward.place = ascents.place
    INNER JOIN failing
        ON failing.unit_id = ascents.unit_id
    WHERE upward.above_id IS NOT NULL
        AND NOT failing.is_mended
),

-- an ancestor that saw a child fail needs no guess
kept AS (
    SELECT *
    FROM open_ends
    QUALIFY steps = 1
        OR min(steps) OVER (PARTITION BY above_id) > 1
),

counted AS (
    SELECT
        above_id,
        count(DISTINCT logical_id)  AS causes
    FROM kept
    GROUP BY above_id
),

-- tries of one logical call that reach this ancestor
shared AS (
    SELECT
        above_id,
        logical_id,
        count(*)  AS tries
    FROM kept
    GROUP BY
        above_id,
        logical_id
)

SELECT
    kept.unit_id,
    kept.above_id,
    1.0 / (counted.causes * shared.tries)  AS share
FROM kept
INNER JOIN counted
    ON counted.above_id = kept.above_id
INNER JOIN shared
    ON shared.above_id = kept.above_id
    AND shared.logical_id = kept.logical_id;

CREATE OR REPLACE TEMP TABLE links AS
SELECT
    failing.rowid                   AS place,
    above.rowid                     AS above_place,
    failing.unit_id,
    passed_on.above_id,
    coalesce(passed_on.share, 1.0)  AS share
FROM failing
LEFT JOIN passed_on
    ON passed_on.unit_id = failing.unit_id
LEFT JOIN failing AS above
    ON above.unit_id = passed_on.above_id;
