-- 'THvw': says whose file this is, so that another program's is not taken for it.
PRAGMA application_id = 0x54487677;

-- What came to an account or left it. id = seq * 32768 + its place in the entry; account = the id of the
-- account's first movement, which is the account's number here; prev = the id of the one before it.
-- Appended only and without another index: an account's history is found from its head.
CREATE TABLE movements (
    id INTEGER PRIMARY KEY NOT NULL,
    account INTEGER NOT NULL,
    prev INTEGER,
    kind INTEGER NOT NULL,
    other INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    balance INTEGER NOT NULL,
    at INTEGER NOT NULL,
    payment INTEGER
) STRICT;

-- Where an account's history begins and ends: the ids of its first and last movement.
CREATE TABLE heads (
    account BLOB PRIMARY KEY NOT NULL CHECK (length(account) = 16),
    first INTEGER NOT NULL,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A payment as it stands. id = seq * 65536 + part of the payment's id.
CREATE TABLE payments (
    id INTEGER PRIMARY KEY NOT NULL,
    brand TEXT NOT NULL,
    store TEXT NOT NULL,
    till TEXT NOT NULL,
    reference TEXT,
    at INTEGER NOT NULL,
    currency TEXT NOT NULL,
    amount INTEGER NOT NULL,
    captured INTEGER NOT NULL,
    refunded INTEGER NOT NULL,
    deadline INTEGER NOT NULL,
    closed INTEGER NOT NULL
) STRICT;

CREATE INDEX payments_brand ON payments (brand, at);

CREATE TABLE units (
    unit TEXT PRIMARY KEY NOT NULL,
    brand TEXT NOT NULL,
    scale INTEGER NOT NULL,
    utc_offset INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Points of a unit by where they came from or went, a row a day of the unit; brand = the shop's, or ''.
CREATE TABLE flows (
    unit TEXT NOT NULL,
    day TEXT NOT NULL,
    what TEXT NOT NULL,
    brand TEXT NOT NULL,
    points INTEGER NOT NULL,
    PRIMARY KEY (unit, day, what, brand)
) STRICT, WITHOUT ROWID;

-- What payments of a cycle made one participant owe another.
CREATE TABLE obligations (
    cycle INTEGER NOT NULL,
    debtor TEXT NOT NULL,
    creditor TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (cycle, debtor, creditor, currency)
) STRICT, WITHOUT ROWID;

CREATE TABLE cursor (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
