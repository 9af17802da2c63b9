-- Which models did each request call?
--
-- unit: models
-- better: neither
-- grain: request_id

WITH

named AS (
    SELECT
        callee,
        (row_number() OVER (ORDER BY callee) - 1) % 62  AS place
    FROM calls
    WHERE kind = 'model'
    GROUP BY callee
)

SELECT
    calls.request_id,
    bit_or(1::BIGINT << named.place::BIGINT)  AS model   -- one bit a model, of more than 62 some share one
FROM calls
INNER JOIN named
    ON named.callee = calls.callee
WHERE calls.kind = 'model'
  AND calls.request_id IS NOT NULL
GROUP BY calls.request_id
