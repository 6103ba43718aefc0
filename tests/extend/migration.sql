-- A table that exists in a test only.
CREATE TABLE example(id INTEGER PRIMARY KEY);
