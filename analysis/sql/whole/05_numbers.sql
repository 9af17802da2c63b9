-- unit_no, turn_no: units and turns as small whole numbers, which are counted faster than texts.
--
-- They tell units apart and nothing else: a model that grows keeps the numbers it gave, and gives the next ones.

CREATE OR REPLACE TEMP TABLE numbers AS
WITH

fresh AS MATERIALIZED (
    SELECT unit_id
    FROM calls
    WHERE unit_no IS NULL
    UNION
    SELECT unit_id
    FROM requests
    WHERE unit_no IS NULL
),

known AS (
    SELECT
        unit_id,
        max(unit_no)  AS unit_no
    FROM (
        SELECT
            unit_id,
            unit_no
        FROM calls
        WHERE unit_no IS NOT NULL
        UNION ALL
        SELECT
            unit_id,
            unit_no
        FROM requests
        WHERE unit_no IS NOT NULL
    )
    WHERE unit_id IN (SELECT unit_id FROM fresh)
    GROUP BY unit_id
)

SELECT
    fresh.unit_id,
    coalesce(
        known.unit_no,
        greatest(
            coalesce((SELECT max(unit_no) FROM calls), 0),
            coalesce((SELECT max(unit_no) FROM requests), 0)
        ) + row_number() OVER (PARTITION BY known.unit_no IS NULL ORDER BY fresh.unit_id)
    )::INTEGER                             AS unit_no,
    (hash(fresh.unit_id) % 100)::UTINYINT  AS bucket
FROM fresh
LEFT JOIN known
    ON known.unit_id = fresh.unit_id;

UPDATE calls
SET
    unit_no = numbers.unit_no,
    bucket = numbers.bucket
FROM numbers
WHERE numbers.unit_id = calls.unit_id
    AND calls.unit_no IS NULL;

UPDATE requests
SET unit_no = numbers.unit_no
FROM numbers
WHERE numbers.unit_id = requests.unit_id
    AND requests.unit_no IS NULL;

UPDATE sensitive_pairs
SET unit_no = numbers.unit_no
FROM numbers
WHERE numbers.unit_id = sensitive_pairs.unit_id
    AND sensitive_pairs.unit_no IS NULL;

UPDATE trace_units
SET turn_no = turn_numbers.turn_no
FROM (
    SELECT
        turn_key,
        coalesce(
            turn_no,
            coalesce(max(turn_no) OVER (), 0) + row_number() OVER (PARTITION BY turn_no IS NULL ORDER BY turn_key)
        )::INTEGER  AS turn_no
    FROM (
        SELECT
            turn_key,
            max(turn_no)  AS turn_no
        FROM trace_units
        WHERE turn_key IS NOT NULL
        GROUP BY turn_key
    )
) AS turn_numbers
WHERE turn_numbers.turn_key = trace_units.turn_key
    AND trace_units.turn_no IS NULL;

UPDATE accesses
SET
    unit_no = own.unit_no,
    turn_no = own.turn_no
FROM (
    SELECT
        calls.call_id,
        calls.unit_no,
        trace_units.turn_no
    FROM calls
    LEFT JOIN trace_units
        ON trace_units.trace_no = calls.trace_no
) AS own
WHERE own.call_id = accesses.call_id
    AND (
        own.unit_no IS DISTINCT FROM accesses.unit_no
        OR own.turn_no IS DISTINCT FROM accesses.turn_no
    );

-- how much a question has to keep in mind that counts units of groups
CREATE OR REPLACE TABLE sizes AS
SELECT
    coalesce((SELECT max(unit_no) FROM calls), 0)        AS units,
    coalesce((SELECT max(turn_no) FROM trace_units), 0)  AS turns,
    greatest(
        (SELECT count(*) FROM (SELECT DISTINCT cohort, boundary_id FROM calls)),
        (SELECT count(*) FROM (SELECT DISTINCT cohort, agent, resource, access FROM accesses))
    )                                                    AS groups,
    (SELECT count(DISTINCT day) FROM calls)              AS days;
