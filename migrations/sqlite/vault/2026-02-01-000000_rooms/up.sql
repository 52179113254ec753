-- API keys, held keys, applications: which of them a record is, nobody can tell without the vault's key.
-- name: blind index of its id; secret: of what is presented to find it; owner: of whose it is; state: of
-- how it stands. A wallet's record is sealed under the key of its person and goes with it, any other under
-- the vault's.
CREATE TABLE record (
    name BLOB PRIMARY KEY NOT NULL CHECK (length(name) = 16),
    secret BLOB UNIQUE CHECK (length(secret) = 16),
    owner BLOB NOT NULL CHECK (length(owner) = 16),
    state BLOB CHECK (length(state) = 16),
    wallet INTEGER REFERENCES wallet (id),
    sealed BLOB NOT NULL
);

CREATE INDEX record_owner ON record (owner);
CREATE INDEX record_state ON record (state) WHERE state IS NOT NULL;
CREATE INDEX record_wallet ON record (wallet) WHERE wallet IS NOT NULL;
