-- A service is a name; its revisions are the versions of an asset. Here is what it has beside them.
CREATE TABLE services(
  name TEXT PRIMARY KEY COLLATE NOCASE,
  settings TEXT NOT NULL, -- JSON: where and how it runs, which revisions are in force (docs/registry.md)
  secrets TEXT NOT NULL   -- JSON: its keys, and what its tokens are signed with
) WITHOUT ROWID;
