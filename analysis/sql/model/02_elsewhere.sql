-- elsewhere_...: what the traces that are not being loaded add to statistics over all of them.
--
-- Whoever loads a part of the lake fills these first; who loads all of it leaves them empty.

CREATE TEMP TABLE IF NOT EXISTS elsewhere_served (
    cohort      VARCHAR,
    service     VARCHAR,
    type        VARCHAR,
    operation   VARCHAR,
    has_caller  BOOLEAN
);

CREATE TEMP TABLE IF NOT EXISTS elsewhere_answers (
    cohort          VARCHAR,
    provider        VARCHAR,
    request_model   VARCHAR,
    response_model  VARCHAR
);

CREATE TEMP TABLE IF NOT EXISTS elsewhere_routes (
    http_host  VARCHAR,
    route      VARCHAR
);
