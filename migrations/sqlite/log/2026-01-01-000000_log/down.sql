DROP TABLE tip;
DROP TABLE parts;
DROP TABLE entry;
PRAGMA application_id = 0;
