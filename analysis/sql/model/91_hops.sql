-- hops: one row a span of the traces in which more than one told its scopes; the walk finds the nearest above that did.

CREATE OR REPLACE TEMP MACRO is_scope_key(key) AS
    key IN ('orch.auth.scopes.granted', 'user.roles', 'enduser.role', 'enduser.scope')
    OR (
        -- most keys speak of something else
        (contains(key, 'cope') OR contains(key, 'ole') OR contains(key, 'ermission') OR contains(key, 'ntitlement'))
        AND regexp_matches(
            key,
            '(?i)(^|\.)(auth|oauth2?|jwt|token|enduser|user|principal)[._](claims[._])?'
            || '(scopes?|roles?|permissions?|entitlements)$'
        )
    );

CREATE OR REPLACE TEMP TABLE scoped AS
SELECT
    node_id,
    trace_no,
    -- Ingest keeps the most trusted key's scopes in the column and leaves the others where they were.
    list_sort(list_distinct(
        coalesce(scopes_granted, [])
        || list_filter(
            flatten(list_transform(
                list_filter(map_entries(attributes), lambda entry: is_scope_key(entry.key)),
                lambda entry: regexp_split_to_array(entry.value, '[\s,\[\]"'']+')
            )),
            lambda item: item <> ''
        )
    ))                                           AS granted,
    list_sort(coalesce(scopes_required, []))     AS required,
    lower(attributes['orch.auth.principal'])     AS principal,
    lower(attributes['orch.auth.delegated']) = 'true'  AS is_delegated
FROM spans
WHERE scopes_granted IS NOT NULL
    OR scopes_required IS NOT NULL;

CREATE OR REPLACE TEMP TABLE standing AS
SELECT
    nodes.node_id,
    nodes.parent_id,
    scoped.node_id IS NOT NULL AND len(scoped.granted) > 0  AS is_granted
FROM nodes
SEMI JOIN (
    SELECT trace_no
    FROM scoped
    GROUP BY trace_no
    HAVING count(*) > 1
) AS telling
    ON telling.trace_no = nodes.trace_no
LEFT JOIN scoped
    ON scoped.node_id = nodes.node_id;

CREATE OR REPLACE TEMP TABLE hops AS
SELECT
    standing.rowid  AS place,
    above.rowid     AS parent_place,
    standing.node_id,
    standing.is_granted
FROM standing
LEFT JOIN standing AS above
    ON above.node_id = standing.parent_id;
