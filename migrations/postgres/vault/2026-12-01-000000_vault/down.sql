DROP TABLE record;
DROP TABLE account;
DROP TABLE alias;
DROP TABLE wallet;
DROP TABLE vault;
