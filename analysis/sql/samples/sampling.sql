-- Which traces say that they were sampled, and how many of the others failed?
--
-- unit: traces
-- better: lower
-- grain: cohort, blind_spot, bucket

WITH counted AS (
    SELECT
        cohort,
        bucket,
        count(*)::DOUBLE                                             AS traces,
        count(*) FILTER (weight > 1)::DOUBLE                         AS sampled,
        count(*) FILTER (weight = 1)::DOUBLE                         AS untold,
        count(*) FILTER (weight = 1 AND is_trace_failed)::DOUBLE     AS failed,
        arg_min(trace_id, trace_no) FILTER (weight > 1)              AS sampled_id,
        arg_min(trace_id, trace_no) FILTER (weight = 1)              AS untold_id,
        arg_min(trace_id, trace_no) FILTER (weight = 1 AND is_trace_failed)  AS failed_id
    FROM requests
    WHERE is_first_of_trace
    GROUP BY
        cohort,
        bucket
)

SELECT
    cohort,
    blind_spot,
    NULL      AS service,
    NULL      AS boundary_id,
    'traces'  AS counted,
    bucket,                -- hash of the unit, for the interval
    found,                 -- told sampled, not told, not told and failed
    traces    AS total,    -- with a request
    traces    AS units,
    example_trace_id
FROM (
    SELECT
        cohort,
        bucket,
        traces,
        unnest([
            {'blind_spot': 'sampled', 'found': sampled, 'example_trace_id': sampled_id},
            {'blind_spot': 'sampling_untold', 'found': untold, 'example_trace_id': untold_id},
            {'blind_spot': 'outcome_sampling', 'found': failed, 'example_trace_id': failed_id}
        ], recursive := true)
    FROM counted
)
ORDER BY
    cohort,
    blind_spot,
    bucket
