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

-- Whoever may move the tip may move it forward only.
CREATE FUNCTION forward_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.seq < OLD.seq OR (NEW.seq = OLD.seq AND NEW.hash <> OLD.hash) THEN
        RAISE EXCEPTION 'the log ends at entry %, and its tip does not go back to %', OLD.seq, NEW.seq;
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER forward_only BEFORE UPDATE ON tip FOR EACH ROW EXECUTE FUNCTION forward_only();
