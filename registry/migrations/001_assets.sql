-- Models, images and services are assets: a kind, a name, a version, words about it, files, and what it is made of.
CREATE TABLE assets(
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of registration; clocks may go back
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  version INTEGER NOT NULL CHECK (version > 0),
  description TEXT NOT NULL DEFAULT '',
  tags TEXT NOT NULL DEFAULT '{}',       -- JSON objects of strings
  properties TEXT NOT NULL DEFAULT '{}',
  detail TEXT NOT NULL DEFAULT '{}',     -- what only this kind has
  digest TEXT NOT NULL,                  -- of its one file, or of the list of its files
  size INTEGER NOT NULL,
  created TEXT NOT NULL,
  modified TEXT NOT NULL,
  request TEXT UNIQUE,                   -- a caller's own name for the registration: asked twice, done once
  UNIQUE (kind, name, version)
);
-- The last version given of each name: never given twice, even when it is deleted.
CREATE TABLE names(
  kind TEXT NOT NULL,
  name TEXT NOT NULL COLLATE NOCASE,     -- names that differ in case only would be one file on some systems
  last_version INTEGER NOT NULL,
  PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE TABLE files(
  asset INTEGER NOT NULL REFERENCES assets ON DELETE CASCADE,
  path TEXT NOT NULL,
  digest TEXT NOT NULL,
  size INTEGER NOT NULL,
  media_type TEXT NOT NULL,
  PRIMARY KEY (asset, path)
) WITHOUT ROWID;
CREATE INDEX files_by_digest ON files(digest);
CREATE INDEX files_by_path ON files(path);
-- An asset in use is not deleted: images use models, services use images.
CREATE TABLE uses(
  user INTEGER NOT NULL REFERENCES assets ON DELETE CASCADE,
  used INTEGER NOT NULL REFERENCES assets ON DELETE RESTRICT,
  PRIMARY KEY (user, used)
) WITHOUT ROWID;
CREATE INDEX uses_by_used ON uses(used);
