-- Signed changes of the vault that were done: blind index of key and nonce, and until when, in Unix seconds, the signature
-- could count.
CREATE TABLE nonce (
    name BLOB PRIMARY KEY NOT NULL CHECK (length(name) = 16),
    until INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX nonce_until ON nonce (until);
