DROP TABLE cursor;
DROP TABLE obligations;
DROP TABLE flows;
DROP TABLE units;
DROP INDEX payments_brand;
DROP TABLE payments;
DROP TABLE heads;
DROP TABLE movements;
PRAGMA application_id = 0;
