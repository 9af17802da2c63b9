-- traces: one row a trace: the id that its number stands for. Questions count and compare numbers, and look ids up last.

CREATE OR REPLACE TABLE traces AS
SELECT
    trace_no,
    any_value(cohort)    AS cohort,
    any_value(trace_id)  AS trace_id
FROM nodes
GROUP BY trace_no;

-- trace_holes: one row a trace: whether a span is missing in it, or the call that began it.
CREATE OR REPLACE TABLE trace_holes AS
SELECT
    trace_no,
    any_value(cohort)                            AS cohort,
    make_timestamp(min(start_ns) // 1000)        AS started_at,
    bool_or(parent_state = 'missing')            AS has_hole,
    bool_or(is_cut)                              AS is_cut
FROM nodes
GROUP BY trace_no;
