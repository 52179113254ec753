DROP TABLE cursor;
DROP INDEX state_due;
DROP TABLE state;
PRAGMA application_id = 0;
