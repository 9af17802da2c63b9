-- How are the durations of each handoff spread?
--
-- unit: calls
-- better: neither
-- grain: cohort, boundary_id, bin_ms

SELECT
    boundaries.cohort,
    boundaries.boundary_id,
    -- Bins 2 % wide: some 450 of them draw any tail, whatever the volume.
    power(1.02, counted.bin_no)  AS bin_ms,   -- lower edge of a bin 2 % wide
    counted.calls
FROM (
    SELECT
        boundary_no,
        floor(ln(greatest(client_ms, 0.001)) / ln(1.02))::SMALLINT  AS bin_no,
        count(*)                                                    AS calls
    FROM calls
    GROUP BY
        boundary_no,
        bin_no
) AS counted
INNER JOIN boundaries
    ON boundaries.boundary_no = counted.boundary_no
ORDER BY
    boundaries.cohort,
    boundaries.boundary_id,
    bin_ms
