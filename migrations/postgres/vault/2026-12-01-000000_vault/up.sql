-- Which key file the records are sealed under.
CREATE TABLE vault (
    id integer PRIMARY KEY CHECK (id = 1),
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 16)
);

-- key: the person's key, wrapped; sealed: the wallet's id. An erased wallet has neither.
CREATE TABLE wallet (
    id bigint PRIMARY KEY,
    blind bytea NOT NULL UNIQUE CHECK (octet_length(blind) = 16),
    key bytea,
    sealed bytea,
    CHECK ((key IS NULL) = (sealed IS NULL))
);

CREATE TABLE alias (
    blind bytea PRIMARY KEY CHECK (octet_length(blind) = 16),
    wallet bigint NOT NULL REFERENCES wallet (id),
    sealed bytea NOT NULL
);

CREATE INDEX alias_wallet ON alias (wallet);

-- slot: blind index of wallet and unit; blind: of the account's id.
CREATE TABLE account (
    slot bytea PRIMARY KEY CHECK (octet_length(slot) = 16),
    blind bytea NOT NULL UNIQUE CHECK (octet_length(blind) = 16),
    wallet bigint NOT NULL REFERENCES wallet (id),
    sealed bytea NOT NULL
);

CREATE INDEX account_wallet ON account (wallet);

-- API keys, held keys, applications: which of them a record is, nobody can tell without the vault's key.
-- name: blind index of its id; secret: of what is presented to find it; owner: of whose it is; state: of
-- how it stands. A wallet's record is sealed under the key of its person and goes with it, any other under
-- the vault's.
CREATE TABLE record (
    name bytea PRIMARY KEY CHECK (octet_length(name) = 16),
    secret bytea UNIQUE CHECK (octet_length(secret) = 16),
    owner bytea NOT NULL CHECK (octet_length(owner) = 16),
    state bytea CHECK (octet_length(state) = 16),
    wallet bigint REFERENCES wallet (id),
    sealed bytea NOT NULL
);

CREATE INDEX record_owner ON record (owner);
CREATE INDEX record_state ON record (state) WHERE state IS NOT NULL;
CREATE INDEX record_wallet ON record (wallet) WHERE wallet IS NOT NULL;
