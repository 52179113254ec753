-- 'THva': says whose file this is, so that another program's is not taken for it.
PRAGMA application_id = 0x54487661;

-- Which key file the records are sealed under.
CREATE TABLE vault (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 16)
);

-- key: the person's key, wrapped; sealed: the wallet's id. An erased wallet has neither.
CREATE TABLE wallet (
    id INTEGER PRIMARY KEY NOT NULL,
    blind BLOB NOT NULL UNIQUE CHECK (length(blind) = 16),
    key BLOB,
    sealed BLOB,
    CHECK ((key IS NULL) = (sealed IS NULL))
);

CREATE TABLE alias (
    blind BLOB PRIMARY KEY NOT NULL CHECK (length(blind) = 16),
    wallet INTEGER NOT NULL REFERENCES wallet (id),
    sealed BLOB NOT NULL
) WITHOUT ROWID;

CREATE INDEX alias_wallet ON alias (wallet);

-- slot: blind index of wallet and unit; blind: of the account's id.
CREATE TABLE account (
    slot BLOB PRIMARY KEY NOT NULL CHECK (length(slot) = 16),
    blind BLOB NOT NULL UNIQUE CHECK (length(blind) = 16),
    wallet INTEGER NOT NULL REFERENCES wallet (id),
    sealed BLOB NOT NULL
) WITHOUT ROWID;

CREATE INDEX account_wallet ON account (wallet);
