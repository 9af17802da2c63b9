-- Which versions of which services ran?
--
-- unit: spans
-- better: neither
-- grain: cohort, service, service_version

SELECT
    cohort,
    service,
    service_version,
    sum(spans)::BIGINT  AS spans       -- of traces that lie in the window, or reach into it
FROM service_work
WHERE service_version IS NOT NULL      -- a service that does not say is not listed
GROUP BY
    cohort,
    service,
    service_version
ORDER BY
    cohort,
    service,
    service_version
