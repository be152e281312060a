-- What accounts are sorted by. A sign-in writes its index: it costs a hash of a password besides.
ALTER TABLE account
    ADD COLUMN sort_name text COLLATE "C" NOT NULL
        GENERATED ALWAYS AS (left(lower(coalesce(record ->> 'name', record ->> 'username')), 256)) STORED,
    -- 0 for an account whose owner never signed in.
    ADD COLUMN signed_in_at bigint NOT NULL
        GENERATED ALWAYS AS (CASE WHEN record ->> 'last_sign_in_at' IS NULL THEN 0 ELSE last_active_at END) STORED;
CREATE INDEX account_sort_name ON account (sort_name, id);
CREATE INDEX account_signed_in_at ON account (signed_in_at, id);

-- How many accounts have a status or are in a group: the sum of the rows of its kind and name. A change adds rows, so that
-- no two transactions wait for each other; `sweep` puts them together.
CREATE TABLE account_count (
    kind text NOT NULL,
    name text COLLATE "C" NOT NULL,
    delta bigint NOT NULL
);
CREATE INDEX account_count_of ON account_count (kind, name);
INSERT INTO account_count SELECT 'status', status, count(*) FROM account GROUP BY status;
INSERT INTO account_count SELECT 'group', name, count(*) FROM account, unnest(groups) AS name GROUP BY name;

CREATE FUNCTION count_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO account_count
            SELECT 'status', OLD.status, -1 UNION ALL SELECT 'group', name, -1 FROM unnest(OLD.groups) AS name;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO account_count
            SELECT 'status', NEW.status, 1 UNION ALL SELECT 'group', name, 1 FROM unnest(NEW.groups) AS name;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER account_counted AFTER INSERT OR DELETE ON account FOR EACH ROW EXECUTE FUNCTION count_account();
CREATE TRIGGER account_recounted AFTER UPDATE OF status, groups ON account FOR EACH ROW
    WHEN (OLD.status <> NEW.status OR OLD.groups <> NEW.groups) EXECUTE FUNCTION count_account();
