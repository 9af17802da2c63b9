-- service_work: one row a trace, service seen in it and version of that service.

CREATE OR REPLACE TABLE service_work AS
SELECT
    trace_no,
    cohort,
    service,
    service_version,
    count(*)                               AS spans,
    make_timestamp(min(start_ns) // 1000)  AS began_at,
    make_timestamp(max(start_ns) // 1000)  AS last_at
FROM nodes
WHERE service IS NOT NULL
GROUP BY
    trace_no,
    cohort,
    service,
    service_version;
