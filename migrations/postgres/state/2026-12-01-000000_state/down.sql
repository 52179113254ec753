DROP TABLE cursor;
DROP INDEX state_due;
DROP TABLE state;
