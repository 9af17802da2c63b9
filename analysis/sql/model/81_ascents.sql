-- ascents: one row a unit with the unit above it; the walk finds the nearest one above that failed.

CREATE OR REPLACE TEMP TABLE ascents AS
SELECT
    units.rowid      AS place,
    above.rowid      AS parent_place,
    units.unit_id,
    units.is_error
FROM units
LEFT JOIN units AS above
    ON above.unit_id = units.parent_unit_id;
