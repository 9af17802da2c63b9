-- Whose clocks disagree, and by how much?
--
-- unit: ms
-- better: lower
-- grain: cohort, client_clock, server_clock

SELECT
    cohort,
    client_clock,
    server_clock,
    sum(pairs)::BIGINT                        AS pairs,               -- client and server spans of one call
    count(*)                                  AS windows,             -- of five minutes
    count(*) FILTER (offset_ms <> 0)          AS skewed_windows,      -- no common time explains the pairs
    arg_max(offset_ms, abs(offset_ms))        AS largest_offset_ms,   -- above 0: the server's clock is ahead
    bool_or(is_capped)                        AS is_capped            -- more than ten seconds: a wrong date
FROM clocks
GROUP BY
    cohort,
    client_clock,
    server_clock
ORDER BY
    cohort,
    client_clock,
    server_clock
