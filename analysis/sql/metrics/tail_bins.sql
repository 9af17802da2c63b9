-- How are the durations of each handoff spread?
--
-- unit: calls
-- better: neither
-- grain: cohort, boundary_id, bin_ms

SELECT
    cohort,
    boundary_id,
    -- Bins 2 % wide: some 450 of them draw any tail, whatever the volume.
    power(1.02, floor(ln(greatest(client_ms, 0.001)) / ln(1.02)))  AS bin_ms,   -- lower edge of a bin 2 % wide
    count(*)                                                       AS calls
FROM calls
GROUP BY ALL
ORDER BY
    cohort,
    boundary_id,
    bin_ms
