-- Roles for a network in PostgreSQL, so that nothing that runs can rewrite the log.
--
-- Once for the server, as a superuser or whoever may make roles and databases:
--     CREATE ROLE tallyhouse_writer NOLOGIN;
--     CREATE ROLE tallyhouse_reader NOLOGIN;
--     CREATE ROLE points_owner LOGIN PASSWORD '…';
--     CREATE ROLE points_node LOGIN PASSWORD '…' IN ROLE tallyhouse_writer;
--     CREATE ROLE points_report LOGIN PASSWORD '…' IN ROLE tallyhouse_reader;
--     CREATE DATABASE points OWNER points_owner;
-- Then a superuser carries this out, or points_owner, who cannot do the last part and is warned of it: once `tallyhouse migrate` has made the schemas, and again after an upgrade that
-- made new tables: psql -f config/postgres-roles.sql. It is one transaction: nodes at work notice nothing.
-- All nodes log in with one account, since each ends what a writer before it left open.
-- The owner migrates; no program that serves needs to be the owner.
--
--   tallyhouse_writer   adds to the log and moves its tip forward (a trigger refuses backward); it can neither change
--                       nor delete an entry, but have a part erased whose erasure the log records. State, views and
--                       vault it may write.
--   tallyhouse_reader   reads log, state and views; the vault is closed to it.

\set ON_ERROR_STOP on

BEGIN;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tallyhouse_writer') THEN
        CREATE ROLE tallyhouse_writer NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tallyhouse_reader') THEN
        CREATE ROLE tallyhouse_reader NOLOGIN;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE EXCEPTION '% may not make roles: a superuser makes tallyhouse_writer and tallyhouse_reader first', current_user
        USING HINT = 'CREATE ROLE tallyhouse_writer NOLOGIN; CREATE ROLE tallyhouse_reader NOLOGIN;';
END
$$;

REVOKE ALL ON SCHEMA log, state, views, vault FROM PUBLIC, tallyhouse_writer, tallyhouse_reader;
REVOKE ALL ON ALL TABLES IN SCHEMA log, state, views, vault FROM PUBLIC, tallyhouse_writer, tallyhouse_reader;

GRANT USAGE ON SCHEMA log, state, views, vault TO tallyhouse_writer;
GRANT SELECT, INSERT ON log.entry, log.parts TO tallyhouse_writer;
GRANT SELECT, INSERT, UPDATE ON log.tip, log.lease TO tallyhouse_writer;
GRANT SELECT ON log.__diesel_schema_migrations TO tallyhouse_writer;
GRANT EXECUTE ON FUNCTION log.erase_part TO tallyhouse_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA state, views, vault TO tallyhouse_writer;
REVOKE INSERT, UPDATE, DELETE
    ON state.__diesel_schema_migrations, views.__diesel_schema_migrations, vault.__diesel_schema_migrations
    FROM tallyhouse_writer;

GRANT USAGE ON SCHEMA log, state, views TO tallyhouse_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA log, state, views TO tallyhouse_reader;

-- Writers know each other by advisory locks. Whoever only reads must not take them: a writer would wait for ever.
DO $$
DECLARE
    this regprocedure;
    owner regrole := (SELECT nspowner FROM pg_namespace WHERE nspname = 'log');
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RAISE WARNING 'advisory locks of this database stay open to every account: carry this out as a superuser, too';
        RETURN;
    END IF;
    FOR this IN
        SELECT oid FROM pg_proc
        WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ '^pg_(try_)?advisory_(xact_)?lock'
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', this);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO tallyhouse_writer, %s', this, owner);
    END LOOP;
END
$$;

COMMIT;
