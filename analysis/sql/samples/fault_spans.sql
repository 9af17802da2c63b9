-- Which spans say that a fault was injected?
--
-- unit: spans
-- better: neither
-- grain: cohort, trace_id, span_id

SELECT
    cohort,
    trace_id,
    span_id,
    fault_id,                               -- a tester's name of the fault; null: a proxy's flags
    fault_type,
    fault_target
FROM fault_spans
ORDER BY
    cohort,
    trace_id,
    span_id,
    fault_id,
    fault_type,
    fault_target
