-- 'THlg': says whose file this is, so that another program's is not taken for it.
PRAGMA application_id = 0x54486c67;

CREATE TABLE entry (
    seq INTEGER PRIMARY KEY NOT NULL,
    envelope BLOB NOT NULL
);

-- id = seq * 16384 + the index of the chunk's first part; bytes: lines of parts, zstd if large.
CREATE TABLE parts (
    id INTEGER PRIMARY KEY NOT NULL,
    bytes BLOB NOT NULL
);

CREATE TABLE tip (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    edge BLOB NOT NULL,
    checkpoint TEXT NOT NULL
);
