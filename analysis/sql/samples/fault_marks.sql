-- Which calls did somebody inject a fault into, as spans tell?
--
-- unit: calls
-- better: neither
-- grain: call_id

SELECT
    call_id,
    cohort,
    trace_id,
    boundary_id,
    fault_id,                               -- a tester's name of the fault
    callee,
    callee_service,
    start_ns,
    end_ns
FROM calls
WHERE fault_id IS NOT NULL
ORDER BY
    cohort,
    trace_id,
    start_ns,
    end_ns DESC,
    call_id
