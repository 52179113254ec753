-- Signed changes of the vault that were done: blind index of key and nonce, and until when, in Unix seconds, the signature
-- could count.
CREATE TABLE nonce (
    name bytea PRIMARY KEY CHECK (octet_length(name) = 16),
    until bigint NOT NULL
);

CREATE INDEX nonce_until ON nonce (until);
