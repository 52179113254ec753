-- What was supplied for the obligations of a cycle, and its tax: a row for each service, category and rate.
CREATE TABLE supplies (
    cycle bigint NOT NULL,
    supplier text COLLATE "C" NOT NULL,
    customer text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    service text COLLATE "C" NOT NULL,
    category text COLLATE "C" NOT NULL,
    rate bigint NOT NULL,
    net bigint NOT NULL,
    tax bigint NOT NULL,
    PRIMARY KEY (cycle, supplier, customer, currency, service, category, rate)
);

-- What is new here stands in entries that were taken already: they are taken again from the first.
DELETE FROM movements;
DELETE FROM payments;
DELETE FROM units;
DELETE FROM flows;
DELETE FROM obligations;
DELETE FROM heads;
DELETE FROM concerns;
DELETE FROM keys;
DELETE FROM brands;
DELETE FROM cursor;
