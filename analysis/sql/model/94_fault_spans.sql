-- fault_spans: one row a span that says that a fault was injected: by a tester's id, or a proxy's flags without one.

CREATE OR REPLACE TABLE fault_spans AS
SELECT
    trace_no,
    cohort,
    trace_id,
    span_id,
    fault_id,
    fault_type,
    fault_target
FROM spans
WHERE fault_id IS NOT NULL
    OR fault_type IS NOT NULL;
