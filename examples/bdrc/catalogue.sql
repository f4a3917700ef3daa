-- The library's catalogue: works, and the image groups that each was scanned into.
-- For psql in the container, whose environment has the passwords; may be run again and again.
\set ON_ERROR_STOP on
\getenv reader READER_PASSWORD
\getenv writer WRITER_PASSWORD

SELECT 'CREATE DATABASE library'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'library') \gexec
-- `reader` is for what Jobs ask, `writer` for results: who has a Job can ask all that the role may.
SELECT format('CREATE ROLE %I LOGIN', name) FROM (VALUES ('reader'), ('writer')) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE reader PASSWORD :'reader';
ALTER ROLE writer PASSWORD :'writer';
GRANT CREATE ON DATABASE library TO writer;

\connect library
CREATE TABLE IF NOT EXISTS works (
    w_id text PRIMARY KEY,
    title text NOT NULL,
    collection text NOT NULL
);
CREATE TABLE IF NOT EXISTS image_groups (
    w_id text NOT NULL REFERENCES works,
    i_id text NOT NULL,
    number integer NOT NULL,
    PRIMARY KEY (w_id, i_id)
);
GRANT SELECT ON works, image_groups TO reader;

INSERT INTO works VALUES
    ('W0EX1', 'From the Heart Sutra', 'examples'),
    ('W0EX2', 'Verses and practices', 'examples'),
    ('W0EX3', 'The reading room', 'examples'),
    ('W0EX4', 'The river', 'examples'),
    ('W0EX5', 'A page with a shadow', 'examples'),
    ('W0EX9', 'Of another collection', 'others')
ON CONFLICT DO NOTHING;
-- Image groups of four digits have folders without the I. I9007 has not been scanned yet.
INSERT INTO image_groups VALUES
    ('W0EX1', 'I9001', 1),
    ('W0EX2', 'I9002', 1),
    ('W0EX2', 'I9003', 2),
    ('W0EX3', 'I0EX4', 1),
    ('W0EX4', 'I9005', 1),
    ('W0EX5', 'I9006', 1),
    ('W0EX5', 'I9007', 2),
    ('W0EX9', 'I9009', 1)
ON CONFLICT DO NOTHING;
