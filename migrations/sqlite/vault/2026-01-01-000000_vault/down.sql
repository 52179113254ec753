DROP TABLE account;
DROP TABLE alias;
DROP TABLE wallet;
DROP TABLE vault;
PRAGMA application_id = 0;
