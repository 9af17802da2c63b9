-- Which models did each request call?
--
-- unit: models
-- better: neither
-- grain: request_id

WITH

-- one bit a model, of more than 62 some share one
named AS MATERIALIZED (
    SELECT
        boundary_no,
        1::BIGINT << ((dense_rank() OVER (ORDER BY callee) - 1) % 62)::BIGINT  AS model
    FROM boundaries
    WHERE kind = 'model'
)

SELECT
    calls.request_id,
    bit_or(named.model)  AS model
FROM calls
INNER JOIN named
    ON named.boundary_no = calls.boundary_no
WHERE calls.request_id IS NOT NULL
GROUP BY calls.request_id
