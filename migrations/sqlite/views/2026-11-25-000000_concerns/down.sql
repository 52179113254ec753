DELETE FROM cursor;
DELETE FROM obligations;
DELETE FROM flows;
DELETE FROM units;
DELETE FROM payments;
DELETE FROM movements;
DROP TABLE heads;
CREATE TABLE heads (
    account BLOB PRIMARY KEY NOT NULL CHECK (length(account) = 16),
    first INTEGER NOT NULL,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
DROP TABLE keys;
DROP TABLE concerns;
DROP TABLE brands;
