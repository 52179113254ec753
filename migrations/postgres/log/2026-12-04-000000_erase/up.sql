-- Puts what remains of a part into its place, for a writer that may not change the log by itself. It is carried out
-- as the owner and believes its caller nothing: `lines` is the chunk as it shall stand, unpacked; `leaves` the leaf
-- hashes of all parts of the entry. They must give the root that the entry's envelope holds, each line must be the
-- part of its hash, and in the place of one its hash may stand only if an entry of the log says that it was erased.
CREATE FUNCTION erase_part(chunk bigint, lines bytea, leaves bytea[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    of_entry bigint := chunk / 16384;
    part integer := chunk % 16384;
    ends integer;
    sealed jsonb;
    level bytea[] := leaves;
    rest bytea := lines;
    feed integer;
    line bytea;
    leaf bytea;
    record text;
    said_in bigint;
BEGIN
    SELECT convert_from(e.envelope, 'UTF8')::jsonb -> 'parts' INTO sealed FROM log.entry e WHERE e.seq = of_entry;
    IF sealed IS NULL OR cardinality(leaves) <> (sealed ->> 'n')::integer
        OR EXISTS (SELECT FROM unnest(leaves) h WHERE octet_length(h) IS DISTINCT FROM 32)
    THEN
        RAISE EXCEPTION 'entry % has not these parts', of_entry;
    END IF;
    -- RFC 6962: neighbours are hashed together, and one that is left over goes up as it is.
    WHILE cardinality(level) > 1 LOOP
        SELECT array_agg(CASE WHEN two THEN sha256(decode('01', 'hex') || hashes) ELSE hashes END ORDER BY pair)
        INTO level
        FROM (
            SELECT (i - 1) / 2 AS pair, count(*) = 2 AS two, string_agg(h, ''::bytea ORDER BY i) AS hashes
            FROM unnest(level) WITH ORDINALITY AS u(h, i) GROUP BY 1
        ) AS pairs;
    END LOOP;
    IF encode(level[1], 'hex') IS DISTINCT FROM sealed ->> 'root' THEN
        RAISE EXCEPTION 'the parts of entry % have another root', of_entry;
    END IF;
    SELECT coalesce(min(p.id) - of_entry * 16384, cardinality(leaves)) INTO ends
    FROM log.parts p WHERE p.id > chunk AND p.id < (of_entry + 1) * 16384;
    WHILE octet_length(rest) > 0 LOOP
        feed := position(decode('0a', 'hex') IN rest);
        line := substring(rest FROM 1 FOR feed - 1);
        rest := substring(rest FROM feed + 1);
        leaf := leaves[part + 1];
        IF part >= ends THEN
            RAISE EXCEPTION 'the chunk has fewer parts';
        ELSIF line = convert_to('{"erased":"' || encode(leaf, 'hex') || '"}', 'UTF8') THEN
            record := 'erased/' || of_entry || '.' || part;
            -- Where to look for it: state knows, or has not got there yet.
            SELECT s.seq INTO said_in FROM state.state s WHERE s.key = record;
            IF said_in IS NULL THEN
                SELECT max(e.seq) INTO said_in FROM log.entry e
                WHERE e.seq > coalesce((SELECT c.seq FROM state.cursor c), -1)
                    AND position(convert_to('["' || record || '",', 'UTF8') IN e.envelope) > 0;
            END IF;
            IF NOT EXISTS (
                SELECT FROM (
                    SELECT convert_from(e.envelope, 'UTF8')::jsonb AS said FROM log.entry e WHERE e.seq = said_in
                ) AS one, jsonb_array_elements(said #> '{pub,done,put}') AS put
                WHERE said ->> 'kind' = 'evidence.erased'
                    AND put ->> 0 = record AND put -> 1 ->> 'leaf' = encode(leaf, 'hex')
            ) THEN
                RAISE EXCEPTION 'no entry says that part % of entry % was erased', part, of_entry;
            END IF;
        ELSIF sha256(decode('00', 'hex') || line) <> leaf THEN
            RAISE EXCEPTION 'part % of entry % is another one', part, of_entry;
        END IF;
        part := part + 1;
    END LOOP;
    IF part <> ends THEN
        RAISE EXCEPTION 'the chunk has more parts';
    END IF;
    UPDATE log.parts p SET bytes = lines WHERE p.id = chunk;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no chunk begins with part % of entry %', chunk % 16384, of_entry;
    END IF;
END
$$;

REVOKE ALL ON FUNCTION erase_part FROM PUBLIC;

-- Rows die here by erasing alone: the place of the old bytes is freed as soon as the server looks, whoever erased.
ALTER TABLE parts SET (
    autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0,
    toast.autovacuum_vacuum_threshold = 0, toast.autovacuum_vacuum_scale_factor = 0
);
