-- Which node writes, until when by this server's clock, and where the others reach it. Losing the row loses
-- nothing: what keeps a deposed writer out is the tip.
CREATE TABLE lease (
    id integer PRIMARY KEY CHECK (id = 1),
    holder text NOT NULL,
    address text NOT NULL,
    term bigint NOT NULL,
    until timestamptz NOT NULL
);
