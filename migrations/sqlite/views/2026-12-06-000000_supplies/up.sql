-- What was supplied for the obligations of a cycle, and its tax: a row for each service, category and rate.
CREATE TABLE supplies (
    cycle INTEGER NOT NULL,
    supplier TEXT NOT NULL,
    customer TEXT NOT NULL,
    currency TEXT NOT NULL,
    service TEXT NOT NULL,
    category TEXT NOT NULL,
    rate INTEGER NOT NULL,
    net INTEGER NOT NULL,
    tax INTEGER NOT NULL,
    PRIMARY KEY (cycle, supplier, customer, currency, service, category, rate)
) STRICT, WITHOUT ROWID;

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
