-- What was done, newest last. A row is written in the transaction of the change it tells of.
CREATE TABLE operations(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  time TEXT NOT NULL,
  operation TEXT NOT NULL, -- register, update, delete
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  version INTEGER NOT NULL
);
