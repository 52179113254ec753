CREATE TABLE entry (
    seq bigint PRIMARY KEY CHECK (seq >= 0),
    envelope bytea NOT NULL
);

-- id = seq * 16384 + the index of the chunk's first part; bytes: lines of parts, zstd if large.
CREATE TABLE parts (
    id bigint PRIMARY KEY CHECK (id >= 0),
    bytes bytea NOT NULL
);

-- What is compressed already is not compressed again.
ALTER TABLE parts ALTER COLUMN bytes SET STORAGE EXTERNAL;

CREATE TABLE tip (
    id integer PRIMARY KEY CHECK (id = 1),
    seq bigint NOT NULL,
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    edge bytea NOT NULL,
    checkpoint text NOT NULL
);
