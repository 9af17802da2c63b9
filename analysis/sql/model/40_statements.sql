-- statements: one row a distinct query text, its verb and the tables it reads and writes.
--
-- `statement_of` is ingest.query_text.parse, asked once a text and never once a span.

CREATE OR REPLACE TEMP TABLE statements AS
SELECT
    query_text,
    statement_of(query_text)  AS statement
FROM (
    SELECT DISTINCT query_text
    FROM spans
    WHERE query_text IS NOT NULL
);
