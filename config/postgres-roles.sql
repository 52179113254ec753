-- Roles for a network in PostgreSQL, so that nothing that runs can rewrite the log.
--
-- Whoever owns the schemas carries this out once `tallyhouse migrate` has made them, and again after an upgrade that
-- made new tables: psql -f config/postgres-roles.sql. Then the accounts that programs log in with are given a role:
--     CREATE ROLE points_node LOGIN PASSWORD '…' IN ROLE tallyhouse_writer;
--     CREATE ROLE points_report LOGIN PASSWORD '…' IN ROLE tallyhouse_reader;
-- The owner migrates, and erases parts on request; no program that serves needs to be the owner.
--
--   tallyhouse_writer   adds to the log and moves its tip forward (a trigger refuses backward); it can neither change
--                       nor delete an entry. State, views and vault it may write.
--   tallyhouse_reader   reads log, state and views; the vault is closed to it.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tallyhouse_writer') THEN
        CREATE ROLE tallyhouse_writer NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tallyhouse_reader') THEN
        CREATE ROLE tallyhouse_reader NOLOGIN;
    END IF;
END
$$;

REVOKE ALL ON SCHEMA log, state, views, vault FROM PUBLIC, tallyhouse_writer, tallyhouse_reader;
REVOKE ALL ON ALL TABLES IN SCHEMA log, state, views, vault FROM PUBLIC, tallyhouse_writer, tallyhouse_reader;

GRANT USAGE ON SCHEMA log, state, views, vault TO tallyhouse_writer;
GRANT SELECT, INSERT ON log.entry, log.parts TO tallyhouse_writer;
GRANT SELECT, INSERT, UPDATE ON log.tip, log.lease TO tallyhouse_writer;
GRANT SELECT ON log.__diesel_schema_migrations TO tallyhouse_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA state, views, vault TO tallyhouse_writer;
REVOKE INSERT, UPDATE, DELETE
    ON state.__diesel_schema_migrations, views.__diesel_schema_migrations, vault.__diesel_schema_migrations
    FROM tallyhouse_writer;

GRANT USAGE ON SCHEMA log, state, views TO tallyhouse_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA log, state, views TO tallyhouse_reader;
