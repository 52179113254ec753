-- Brands by a small number, in the order in which the log first names them; 0 is everybody.
CREATE TABLE brands (
    brand TEXT PRIMARY KEY NOT NULL,
    number INTEGER NOT NULL,
    participant TEXT
) STRICT, WITHOUT ROWID;

-- Which entries concern which brand, a row for an entry of any size.
CREATE TABLE concerns (
    brand INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (brand, seq)
) STRICT, WITHOUT ROWID;

-- The keys of brands (or of the operator, 'op'); holders' keys are not listed.
CREATE TABLE keys (
    owner TEXT NOT NULL,
    kid BLOB NOT NULL CHECK (length(kid) = 32),
    PRIMARY KEY (owner, kid)
) STRICT, WITHOUT ROWID;

-- With the number of the brand whose points the account holds.
DROP TABLE heads;
CREATE TABLE heads (
    account BLOB PRIMARY KEY NOT NULL CHECK (length(account) = 16),
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    brand INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What is new here stands in entries that were taken already: they are taken again from the first.
DELETE FROM movements;
DELETE FROM payments;
DELETE FROM units;
DELETE FROM flows;
DELETE FROM obligations;
DELETE FROM cursor;
