-- Disputes, objections and complaints by who is on either side of them, and for everybody (''); id: entry * 65536 + part.
CREATE TABLE filings (
    sort text COLLATE "C" NOT NULL,
    whom text COLLATE "C" NOT NULL,
    id bigint NOT NULL,
    cycle bigint NOT NULL,
    stage text COLLATE "C" NOT NULL,
    open boolean NOT NULL,
    PRIMARY KEY (sort, whom, id)
);

-- What is new here stands in entries that were taken already: they are taken again from the first.
DELETE FROM movements;
DELETE FROM payments;
DELETE FROM units;
DELETE FROM flows;
DELETE FROM obligations;
DELETE FROM supplies;
DELETE FROM heads;
DELETE FROM concerns;
DELETE FROM keys;
DELETE FROM brands;
DELETE FROM cursor;
