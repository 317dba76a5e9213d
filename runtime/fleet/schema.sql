-- The tables of a site. `edgefs fleet init` runs this in one transaction; it may be run again.
CREATE SCHEMA IF NOT EXISTS edgefs;

CREATE TABLE IF NOT EXISTS edgefs.site (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    version int NOT NULL,
    fingerprint text,  -- of the model whose embeddings these are; the first device sets it
    dim int
);
INSERT INTO edgefs.site (version) VALUES (1) ON CONFLICT DO NOTHING;

-- Its row is locked by whoever inserts an event, until the commit. So a place is visible before any later one.
CREATE TABLE IF NOT EXISTS edgefs.counter (one boolean PRIMARY KEY DEFAULT true CHECK (one), seq bigint NOT NULL)
    WITH (fillfactor = 10);
INSERT INTO edgefs.counter (seq) VALUES (0) ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS edgefs.devices (name text, role name, PRIMARY KEY (name, role));

CREATE TABLE IF NOT EXISTS edgefs.events (
    origin text NOT NULL,  -- NAME/LETTERS: the name of the device, and letters that are new with each new copy
    n bigint NOT NULL,
    seq bigint NOT NULL UNIQUE,  -- the place in the order of the site
    seen bigint NOT NULL,  -- the newest place that the maker knew
    fingerprint text NOT NULL,
    body jsonb NOT NULL,
    time_s double precision NOT NULL,  -- the clock of the maker; nothing is ordered by it
    PRIMARY KEY (origin, n)
);

CREATE TABLE IF NOT EXISTS edgefs.shots (
    origin text NOT NULL,
    n bigint NOT NULL,
    i int NOT NULL,
    fingerprint text NOT NULL,
    embedding bytea NOT NULL,
    burst text NOT NULL,
    quality double precision NOT NULL,
    source text NOT NULL,
    time_s double precision NOT NULL,
    crop bytea,
    PRIMARY KEY (origin, n, i),
    FOREIGN KEY (origin, n) REFERENCES edgefs.events
);
ALTER TABLE edgefs.shots ALTER COLUMN crop SET STORAGE EXTERNAL;  -- JPEG cannot be compressed further

-- A published rollout (docs/rollout.md): rollout.json, bundles/SHA256.edgefs.zip in parts, and reports/DEVICE.json.
CREATE TABLE IF NOT EXISTS edgefs.files (
    name text NOT NULL,
    start bigint NOT NULL CHECK (start >= 0),  -- the place of this part in the file
    data bytea NOT NULL CHECK (octet_length(data) <= 1048576),
    PRIMARY KEY (name, start)
);
ALTER TABLE edgefs.files ALTER COLUMN data SET STORAGE EXTERNAL;  -- a zip cannot be compressed further

CREATE OR REPLACE FUNCTION edgefs.number_event() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = edgefs, pg_temp AS $$
BEGIN
    IF NEW.fingerprint IS DISTINCT FROM (SELECT fingerprint FROM edgefs.site) THEN
        RAISE EXCEPTION 'an event must be of the model of this site' USING ERRCODE = 'check_violation';
    END IF;
    UPDATE edgefs.counter SET seq = seq + 1 RETURNING seq INTO NEW.seq;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER number_event BEFORE INSERT ON edgefs.events
    FOR EACH ROW EXECUTE FUNCTION edgefs.number_event();
-- Events that replication brings from another site get a place in the order of this one.
ALTER TABLE edgefs.events ENABLE ALWAYS TRIGGER number_event;

CREATE OR REPLACE FUNCTION edgefs.join_site(fp text, d int) RETURNS void LANGUAGE sql SECURITY DEFINER
SET search_path = edgefs, pg_temp AS $$
    UPDATE edgefs.site SET fingerprint = fp, dim = d WHERE fingerprint IS NULL;
$$;

-- Bytes of shots can be deleted; events cannot.
CREATE OR REPLACE FUNCTION edgefs.delete_shots(origins text[], ns bigint[], indices int[]) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = edgefs, pg_temp AS $$
    WITH gone AS (
        DELETE FROM edgefs.shots s USING unnest(origins, ns, indices) AS k (origin, n, i)
        WHERE (s.origin, s.n, s.i) = (k.origin, k.n, k.i) RETURNING 1
    ) SELECT count(*) FROM gone;
$$;

DO $$
DECLARE r text;
BEGIN
    FOREACH r IN ARRAY ARRAY['edgefs_viewer', 'edgefs_device', 'edgefs_teacher'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', r);
        END IF;
    END LOOP;
END $$;
GRANT edgefs_viewer TO edgefs_device;
GRANT edgefs_device TO edgefs_teacher;

GRANT USAGE ON SCHEMA edgefs TO edgefs_viewer;
GRANT SELECT ON edgefs.site, edgefs.counter, edgefs.devices, edgefs.events, edgefs.shots, edgefs.files TO edgefs_viewer;
GRANT INSERT ON edgefs.events, edgefs.shots TO edgefs_device;
GRANT INSERT, UPDATE ON edgefs.files TO edgefs_device;
GRANT DELETE ON edgefs.files TO edgefs_teacher;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA edgefs FROM PUBLIC;
GRANT EXECUTE ON FUNCTION edgefs.join_site TO edgefs_device;
GRANT EXECUTE ON FUNCTION edgefs.delete_shots TO edgefs_teacher;

ALTER TABLE edgefs.events ENABLE ROW LEVEL SECURITY;
ALTER TABLE edgefs.shots ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS reading ON edgefs.events;
DROP POLICY IF EXISTS reading ON edgefs.shots;
DROP POLICY IF EXISTS teaching ON edgefs.events;
DROP POLICY IF EXISTS teaching ON edgefs.shots;
DROP POLICY IF EXISTS changing ON edgefs.events;
CREATE POLICY reading ON edgefs.events FOR SELECT TO edgefs_viewer USING (true);
CREATE POLICY reading ON edgefs.shots FOR SELECT TO edgefs_viewer USING (true);
-- A login writes under the names that are registered for it. As device it teaches, and undoes what it did itself;
-- as teacher it makes every change.
CREATE POLICY teaching ON edgefs.events FOR INSERT TO edgefs_device WITH CHECK (
    EXISTS (SELECT FROM edgefs.devices d WHERE d.role = current_user AND d.name = split_part(origin, '/', 1))
    AND (body->>'kind' = 'teach' OR (body->>'kind' = 'undo' AND body->'event'->>0 = origin)));
CREATE POLICY changing ON edgefs.events FOR INSERT TO edgefs_teacher WITH CHECK (
    EXISTS (SELECT FROM edgefs.devices d WHERE d.role = current_user AND d.name = split_part(origin, '/', 1)));
CREATE POLICY teaching ON edgefs.shots FOR INSERT TO edgefs_device WITH CHECK (
    EXISTS (SELECT FROM edgefs.devices d WHERE d.role = current_user AND d.name = split_part(origin, '/', 1)));

-- Everybody of the site reads the files, a device writes its own report, and a teacher publishes.
ALTER TABLE edgefs.files ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS reading ON edgefs.files;
DROP POLICY IF EXISTS reporting ON edgefs.files;
DROP POLICY IF EXISTS publishing ON edgefs.files;
CREATE POLICY reading ON edgefs.files FOR SELECT TO edgefs_viewer USING (true);
CREATE POLICY reporting ON edgefs.files TO edgefs_device USING (
    start = 0 AND octet_length(data) <= 65536 AND EXISTS (
        SELECT FROM edgefs.devices d WHERE d.role = current_user AND files.name = 'reports/' || d.name || '.json'));
CREATE POLICY publishing ON edgefs.files TO edgefs_teacher USING (
    (name = 'rollout.json' AND start = 0 AND octet_length(data) <= 65536) OR starts_with(name, 'bundles/'));
