-- Which traces say that they were sampled, and how many of the others failed?
--
-- unit: traces
-- better: lower
-- grain: cohort, blind_spot, bucket

WITH

traces AS (
    SELECT
        requests.cohort,
        requests.trace_no,
        min(requests.trace_id)       AS trace_id,
        max(requests.weight)         AS weight,
        bool_or(requests.is_failed)  AS is_failed
    FROM requests
    GROUP BY
        requests.cohort,
        requests.trace_no
)

SELECT
    cohort,
    blind_spot,
    NULL                                  AS service,
    NULL                                  AS boundary_id,
    'traces'                              AS counted,
    (abs(trace_no % 100))::INTEGER        AS bucket,
    count(*) FILTER (is_blind)::DOUBLE    AS found,     -- told sampled, not told, not told and failed
    count(*)::DOUBLE                      AS total,     -- traces with a request
    count(*)                              AS units,
    min(trace_id) FILTER (is_blind)       AS example_trace_id
FROM (
    SELECT
        cohort,
        trace_no,
        trace_id,
        unnest([
            {'blind_spot': 'sampled', 'is_blind': weight > 1},
            {'blind_spot': 'sampling_untold', 'is_blind': weight = 1},
            {'blind_spot': 'outcome_sampling', 'is_blind': weight = 1 AND is_failed}
        ], recursive := true)
    FROM traces
)
GROUP BY ALL
ORDER BY ALL
