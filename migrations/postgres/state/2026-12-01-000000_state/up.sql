-- Keys are ordered by their bytes, whatever the database's language. Room is left in each page, so that a record that is
-- written over stays in it and no index is touched.
CREATE TABLE state (
    key text COLLATE "C" PRIMARY KEY CHECK (key <> ''),
    value bytea NOT NULL,
    seq bigint NOT NULL,
    due bigint
) WITH (fillfactor = 80);

CREATE INDEX state_due ON state (due, key) WHERE due IS NOT NULL;

CREATE TABLE cursor (
    id integer PRIMARY KEY CHECK (id = 1),
    seq bigint NOT NULL,
    hash bytea NOT NULL CHECK (octet_length(hash) = 32)
);
