-- Which versions of which services ran?
--
-- unit: spans
-- better: neither
-- grain: cohort, service, service_version

SELECT
    cohort,
    service,
    service_version,
    count(*)  AS spans
FROM nodes
WHERE service IS NOT NULL
  AND service_version IS NOT NULL   -- a service that does not say is not listed
GROUP BY
    cohort,
    service,
    service_version
ORDER BY
    cohort,
    service,
    service_version
