-- ties: the traces that a trace's links lead to, whether they are there or not yet.

CREATE OR REPLACE TABLE ties AS
SELECT DISTINCT
    trace_no,
    tied_no
FROM (
    SELECT
        trace_no,
        (hash(cohort, unnest(links).trace_id) >> 1)::BIGINT  AS tied_no
    FROM spans
    WHERE len(links) > 0
)
WHERE tied_no <> trace_no;
