-- Of the requests that met an injected fault, how many kept it from the user?
--
-- unit: requests
-- better: lower
-- grain: cohort, fault_id

WITH exposed AS (
    SELECT DISTINCT
        calls.cohort,
        calls.trace_no,
        calls.fault_id
    FROM calls
    WHERE calls.fault_id IS NOT NULL
      AND calls.is_error
)
SELECT
    exposed.cohort,
    exposed.fault_id,
    count(*)                                    AS exposed_requests,
    count(*) FILTER (WHERE requests.is_failed)  AS visible_requests   -- the fault reached the user
FROM exposed
JOIN requests
  ON requests.cohort = exposed.cohort
 AND requests.trace_no = exposed.trace_no
GROUP BY exposed.cohort, exposed.fault_id
ORDER BY exposed.cohort, exposed.fault_id
