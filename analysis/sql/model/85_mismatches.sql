-- mismatches: one row a tool's call below which more was done than its name says (BOUNDARIES.md, access).

CREATE OR REPLACE TEMP TABLE reached AS
SELECT
    reaches.call_id,
    walked.reached_id,
    ['none', 'read', 'execute', 'write', 'delete', 'admin'][walked.reached_rank]  AS access
FROM reaches
INNER JOIN reaches_walked AS walked
    ON walked.place = reaches.place
WHERE walked.reached_rank > reaches.rank;

CREATE OR REPLACE TABLE mismatches AS
SELECT
    calls.call_id,
    calls.cohort,
    calls.trace_id,
    calls.trace_no,
    calls.started_at,
    calls.boundary_id,
    calls.owner_agent,
    calls.owner_service,
    calls.kind,
    calls.callee,
    calls.access      AS declared,
    reached.access    AS reached,
    below.call_id     AS reached_id,
    below.callee      AS reached_callee,
    calls.pilot_variant
FROM reached
INNER JOIN calls
    ON calls.call_id = reached.call_id
INNER JOIN calls AS below
    ON below.call_id = reached.reached_id
WHERE calls.kind IN ('tool', 'mcp')
    AND calls.access <> 'unknown';
