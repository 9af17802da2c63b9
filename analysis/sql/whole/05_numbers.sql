-- unit_no, turn_no, boundary_no, worker_no, access_no, variety_no: what is counted and what is grouped by as small whole
-- numbers, which are counted and grouped faster than texts.
--
-- They tell things apart and nothing else: a model that grows keeps the numbers it gave, and gives the next ones.

CREATE OR REPLACE TEMP TABLE numbers AS
WITH

fresh AS MATERIALIZED (
    SELECT unit_id
    FROM calls
    WHERE unit_no IS NULL
        OR boundary_no IS NULL
        OR worker_no IS NULL
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

-- boundaries: one row a cohort and boundary, with its names.
CREATE OR REPLACE TABLE boundaries AS
SELECT
    cohort,
    boundary_id,
    coalesce(
        known_no,
        coalesce(max(known_no) OVER (), -1)
        + row_number() OVER (PARTITION BY known_no IS NULL ORDER BY cohort, boundary_id)
    )::INTEGER  AS boundary_no,
    caller,
    kind,
    callee
FROM (
    SELECT
        cohort,
        boundary_id,
        max(boundary_no)   AS known_no,
        any_value(caller)  AS caller,
        any_value(kind)    AS kind,
        any_value(callee)  AS callee
    FROM calls
    GROUP BY
        cohort,
        boundary_id
)
ORDER BY boundary_no;

-- workers: one row a cohort and who called: its agent, its service and that service's version.
CREATE OR REPLACE TABLE workers AS
SELECT
    cohort,
    coalesce(owner_agent, owner_service, '?')  AS agent,
    owner_agent,
    owner_service,
    service_version,
    coalesce(
        known_no,
        coalesce(max(known_no) OVER (), -1) + row_number() OVER (
            PARTITION BY known_no IS NULL
            ORDER BY cohort, owner_agent, owner_service, service_version
        )
    )::INTEGER  AS worker_no
FROM (
    SELECT
        cohort,
        owner_agent,
        owner_service,
        service_version,
        max(worker_no)  AS known_no
    FROM calls
    GROUP BY
        cohort,
        owner_agent,
        owner_service,
        service_version
)
ORDER BY worker_no;

UPDATE calls
SET
    unit_no = numbers.unit_no,
    bucket = numbers.bucket,
    boundary_no = boundaries.boundary_no,
    worker_no = workers.worker_no
FROM numbers, boundaries, workers
WHERE numbers.unit_id = calls.unit_id
    AND boundaries.cohort = calls.cohort
    AND boundaries.boundary_id = calls.boundary_id
    AND hash(workers.cohort, workers.owner_agent, workers.owner_service, workers.service_version)
    = hash(calls.cohort, calls.owner_agent, calls.owner_service, calls.service_version)
    AND (calls.unit_no IS NULL OR calls.boundary_no IS NULL OR calls.worker_no IS NULL);

-- varieties: one row a cohort, way of calling and place, which tell patterns apart.
CREATE OR REPLACE TABLE varieties AS
SELECT
    cohort,
    pattern,
    boundary_id,
    other_boundary_id,
    coalesce(
        known_no,
        coalesce(max(known_no) OVER (), -1)
        + row_number() OVER (PARTITION BY known_no IS NULL ORDER BY cohort, pattern, boundary_id, other_boundary_id)
    )::INTEGER  AS variety_no
FROM (
    SELECT
        cohort,
        pattern,
        boundary_id,
        other_boundary_id,
        max(variety_no)  AS known_no
    FROM patterns
    GROUP BY
        cohort,
        pattern,
        boundary_id,
        other_boundary_id
)
ORDER BY variety_no;

UPDATE patterns
SET variety_no = varieties.variety_no
FROM varieties
WHERE varieties.cohort = patterns.cohort
    AND varieties.pattern = patterns.pattern
    AND varieties.boundary_id IS NOT DISTINCT FROM patterns.boundary_id
    AND varieties.other_boundary_id IS NOT DISTINCT FROM patterns.other_boundary_id
    AND patterns.variety_no IS NULL;

UPDATE requests
SET unit_no = numbers.unit_no
FROM numbers
WHERE numbers.unit_id = requests.unit_id
    AND requests.unit_no IS NULL;

UPDATE work
SET unit_no = numbers.unit_no
FROM numbers
WHERE numbers.unit_id = work.unit_id
    AND work.unit_no IS NULL;

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

-- touches: one row a kind of access: who does what to which resource, and how sensitive that is.
CREATE OR REPLACE TABLE touches AS
SELECT
    * EXCLUDE (known_no),
    coalesce(
        known_no,
        coalesce(max(known_no) OVER (), -1) + row_number() OVER (
            PARTITION BY known_no IS NULL
            ORDER BY cohort, agent, resource, access, kind, owner_agent, service, service_version, sensitivity
        )
    )::INTEGER                                                                        AS access_no,
    -- one number a cohort, agent, resource and access, whatever else tells touches apart
    (dense_rank() OVER (ORDER BY cohort, agent, resource, access) - 1)::INTEGER       AS use_no
FROM (
    SELECT
        cohort,
        agent,
        resource,
        access,
        kind,
        owner_agent,
        service,
        service_version,
        sensitivity,
        is_sensitivity_inferred,
        max(access_no)  AS known_no
    FROM accesses
    GROUP BY ALL
)
ORDER BY access_no;

UPDATE accesses
SET access_no = touches.access_no
FROM touches
WHERE hash(
        touches.cohort, touches.agent, touches.resource, touches.access, touches.kind, touches.owner_agent,
        touches.service, touches.service_version, touches.sensitivity, touches.is_sensitivity_inferred
    ) = hash(
        accesses.cohort, accesses.agent, accesses.resource, accesses.access, accesses.kind, accesses.owner_agent,
        accesses.service, accesses.service_version, accesses.sensitivity, accesses.is_sensitivity_inferred
    )
    AND accesses.access_no IS NULL;

-- how much a question has to keep in mind that counts units of groups
CREATE OR REPLACE TABLE sizes AS
SELECT
    coalesce(greatest((SELECT max(unit_no) FROM calls), (SELECT max(unit_no) FROM requests)), 0)  AS units,
    coalesce((SELECT max(turn_no) FROM trace_units), 0)  AS turns,
    greatest(
        (SELECT count(*) FROM boundaries),
        (SELECT count(DISTINCT use_no) FROM touches)
    )                                                    AS groups,
    (SELECT count(DISTINCT day) FROM calls)              AS days,
    coalesce((SELECT min(weight) < max(weight) FROM (SELECT weight FROM calls UNION ALL SELECT weight FROM requests)), false)
                                                         AS is_weighted;
