-- 'THst': says whose file this is, so that another program's is not taken for it.
PRAGMA application_id = 0x54487374;

CREATE TABLE state (
    key TEXT PRIMARY KEY NOT NULL CHECK (key <> ''),
    value BLOB NOT NULL,
    seq INTEGER NOT NULL,
    due INTEGER
) WITHOUT ROWID;

CREATE INDEX state_due ON state (due, key) WHERE due IS NOT NULL;

CREATE TABLE cursor (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
);
