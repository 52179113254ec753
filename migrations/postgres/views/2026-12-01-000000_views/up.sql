-- What came to an account or left it. id = seq * 32768 + its place in the entry; account = the id of the
-- account's first movement, which is the account's number here; prev = the id of the one before it.
-- Appended only and without another index: an account's history is found from its head.
CREATE TABLE movements (
    id bigint PRIMARY KEY,
    account bigint NOT NULL,
    prev bigint,
    kind bigint NOT NULL,
    other bigint NOT NULL,
    amount bigint NOT NULL,
    balance bigint NOT NULL,
    at bigint NOT NULL,
    payment bigint
);

-- Where an account's history begins and ends: the ids of its first and last movement; and the number of the
-- brand whose points it holds.
CREATE TABLE heads (
    account bytea PRIMARY KEY CHECK (octet_length(account) = 16),
    first bigint NOT NULL,
    last bigint NOT NULL,
    brand bigint NOT NULL
) WITH (fillfactor = 80);

-- A payment as it stands. id = seq * 65536 + part of the payment's id. Texts are ordered by their bytes.
CREATE TABLE payments (
    id bigint PRIMARY KEY,
    brand text COLLATE "C" NOT NULL,
    store text COLLATE "C" NOT NULL,
    till text COLLATE "C" NOT NULL,
    reference text COLLATE "C",
    at bigint NOT NULL,
    currency text COLLATE "C" NOT NULL,
    amount bigint NOT NULL,
    captured bigint NOT NULL,
    refunded bigint NOT NULL,
    deadline bigint NOT NULL,
    closed boolean NOT NULL
);

CREATE INDEX payments_brand ON payments (brand, at, id);

CREATE TABLE units (
    unit text COLLATE "C" PRIMARY KEY,
    brand text COLLATE "C" NOT NULL,
    scale integer NOT NULL,
    utc_offset integer NOT NULL
);

-- Points of a unit by where they came from or went, a row a day of the unit; brand = the shop's, or ''.
CREATE TABLE flows (
    unit text COLLATE "C" NOT NULL,
    day text COLLATE "C" NOT NULL,
    what text COLLATE "C" NOT NULL,
    brand text COLLATE "C" NOT NULL,
    points bigint NOT NULL,
    PRIMARY KEY (unit, day, what, brand)
);

-- What payments of a cycle made one participant owe another.
CREATE TABLE obligations (
    cycle bigint NOT NULL,
    debtor text COLLATE "C" NOT NULL,
    creditor text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    amount bigint NOT NULL,
    PRIMARY KEY (cycle, debtor, creditor, currency)
);

-- Brands by a small number, in the order in which the log first names them; 0 is everybody.
CREATE TABLE brands (
    brand text COLLATE "C" PRIMARY KEY,
    number bigint NOT NULL,
    participant text COLLATE "C"
);

-- Which entries concern which brand, a row for an entry of any size.
CREATE TABLE concerns (
    brand bigint NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (brand, seq)
);

-- The keys of brands (or of the operator, 'op'); holders' keys are not listed.
CREATE TABLE keys (
    owner text COLLATE "C" NOT NULL,
    kid bytea NOT NULL CHECK (octet_length(kid) = 32),
    PRIMARY KEY (owner, kid)
);

CREATE TABLE cursor (
    id integer PRIMARY KEY CHECK (id = 1),
    seq bigint NOT NULL,
    hash bytea NOT NULL CHECK (octet_length(hash) = 32)
);
