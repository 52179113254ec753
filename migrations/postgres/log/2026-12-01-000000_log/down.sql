DROP TABLE tip;
DROP FUNCTION forward_only;
DROP TABLE parts;
DROP TABLE entry;
