-- How often did each conversation touch what?
--
-- unit: calls
-- better: lower
-- grain: cohort, resource, access, unit_id

SELECT
    accesses.cohort,
    accesses.resource,
    accesses.access,
    calls.unit_id,                                                                                -- conversation, else trace
    count(DISTINCT accesses.call_id)                              AS calls,
    list_sort(list_distinct(flatten(list(accesses.sensitivity))))  AS sensitivity                 -- declared tags, else hints from the name
FROM accesses
INNER JOIN calls
    ON calls.call_id = accesses.call_id
GROUP BY
    accesses.cohort,
    accesses.resource,
    accesses.access,
    calls.unit_id
ORDER BY
    accesses.cohort,
    accesses.resource,
    accesses.access,
    calls.unit_id
