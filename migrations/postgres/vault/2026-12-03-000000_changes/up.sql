-- How often something was revoked, forgotten or erased: nodes that share the vault look at it, and forget what they
-- keep at hand when it has changed.
ALTER TABLE vault ADD COLUMN changes bigint NOT NULL DEFAULT 0;
