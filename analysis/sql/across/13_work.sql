-- work: one row an agent, or a service without one, and unit in which it called anything, and when it began to.

CREATE OR REPLACE TABLE work AS
SELECT
    min(trace_no)                              AS trace_no,
    cohort,
    coalesce(owner_agent, owner_service, '?')  AS agent,
    unit_id,
    NULL::INTEGER                              AS unit_no,  -- told by whole/05_numbers.sql
    count(owner_agent) > 0                     AS is_agent,
    min(started_at)                            AS began_at,
    max(started_at)                            AS last_at
FROM calls
GROUP BY
    cohort,
    coalesce(owner_agent, owner_service, '?'),
    unit_id;
