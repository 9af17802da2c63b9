-- traces: one row a trace: the id that its number stands for. Questions count and compare numbers, and look ids up last.

CREATE OR REPLACE TABLE traces AS
SELECT
    trace_no,
    any_value(cohort)    AS cohort,
    any_value(trace_id)  AS trace_id
FROM nodes
GROUP BY trace_no;
