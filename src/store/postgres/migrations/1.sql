-- What is searched or constrained has a column; `record` has the whole row as JSON of the version in `version`.
-- Times are microseconds since 1970.

CREATE TABLE store (
    sole boolean PRIMARY KEY DEFAULT true CHECK (sole),
    version smallint NOT NULL,
    record json NOT NULL,
    -- The number of processes that have held the instance lock.
    tenure bigint NOT NULL DEFAULT 0
);

CREATE TABLE data_key (
    sole boolean PRIMARY KEY DEFAULT true CHECK (sole),
    version smallint NOT NULL,
    record json NOT NULL
);

CREATE TABLE account (
    id uuid PRIMARY KEY,
    -- The address in lower case and NFC: `Email::key`.
    email text COLLATE "C" NOT NULL UNIQUE,
    status text NOT NULL,
    groups text[] NOT NULL,
    -- When its owner last signed in, or the account was made if they never did.
    last_active_at bigint NOT NULL,
    version smallint NOT NULL,
    record json NOT NULL,
    -- What accounts are sorted by. A sign-in writes its index: it costs a hash of a password besides.
    sort_name text COLLATE "C" NOT NULL
        GENERATED ALWAYS AS (left(lower(coalesce(record ->> 'name', record ->> 'username', '')), 256)) STORED,
    -- 0 for an account whose owner never signed in.
    signed_in_at bigint NOT NULL
        GENERATED ALWAYS AS (CASE WHEN record ->> 'last_sign_in_at' IS NULL THEN 0 ELSE last_active_at END) STORED
);
CREATE INDEX account_sort_name ON account (sort_name, id);
CREATE INDEX account_signed_in_at ON account (signed_in_at, id);
CREATE INDEX account_status ON account (status, id);
CREATE INDEX account_groups ON account USING gin (groups);

-- Every username that any account ever had. `account` is null once its account is gone; it stays taken.
CREATE TABLE username (
    username text COLLATE "C" PRIMARY KEY,
    account uuid REFERENCES account ON DELETE SET NULL
);
CREATE INDEX username_account ON username (account);

-- How many accounts have a status or are in a group: the sum of the rows of its kind and name. A change adds rows, so that
-- no two transactions wait for each other; `sweep` puts them together.
CREATE TABLE account_count (
    kind text NOT NULL,
    name text COLLATE "C" NOT NULL,
    delta bigint NOT NULL
);
CREATE INDEX account_count_of ON account_count (kind, name);

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

-- The search terms of accounts.
CREATE TABLE account_term (
    term text COLLATE "C" NOT NULL,
    account uuid NOT NULL REFERENCES account ON DELETE CASCADE,
    PRIMARY KEY (term, account)
);
CREATE INDEX account_term_account ON account_term (account, term);

CREATE TABLE access_key (
    id text COLLATE "C" PRIMARY KEY,
    account uuid NOT NULL REFERENCES account ON DELETE CASCADE,
    version smallint NOT NULL,
    record json NOT NULL
);
CREATE INDEX access_key_account ON access_key (account);

CREATE TABLE account_failures (
    account uuid PRIMARY KEY REFERENCES account ON DELETE CASCADE,
    version smallint NOT NULL,
    record json NOT NULL
);

CREATE TABLE access_key_failures (
    access_key text COLLATE "C" PRIMARY KEY REFERENCES access_key ON DELETE CASCADE,
    version smallint NOT NULL,
    record json NOT NULL
);

-- Failures of unknown names: a table of bounded size, see `attempt_counter`.
CREATE TABLE name_failures (
    set integer NOT NULL,
    digest bytea NOT NULL,
    version smallint NOT NULL,
    record json NOT NULL,
    PRIMARY KEY (set, digest)
);

CREATE TABLE session (
    digest bytea PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    account uuid NOT NULL REFERENCES account ON DELETE CASCADE,
    created_at bigint NOT NULL,
    version smallint NOT NULL,
    record json NOT NULL
);
CREATE INDEX session_account ON session (account);
CREATE INDEX session_created_at ON session (created_at);

CREATE TABLE invitation (
    digest bytea PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    expires_at bigint NOT NULL,
    version smallint NOT NULL,
    record json NOT NULL
);
CREATE INDEX invitation_expires_at ON invitation (expires_at);

CREATE TABLE mailed_token (
    digest bytea PRIMARY KEY,
    account uuid NOT NULL REFERENCES account ON DELETE CASCADE,
    purpose text NOT NULL,
    expires_at bigint NOT NULL,
    version smallint NOT NULL,
    record json NOT NULL,
    UNIQUE (account, purpose)
);
CREATE INDEX mailed_token_expires_at ON mailed_token (expires_at);

CREATE TABLE mail (
    id uuid PRIMARY KEY,
    -- Exactly one of these is set.
    due_at bigint,
    failed_at bigint,
    -- The receiver of a mail that may carry a password reset link; the mail is withdrawn when the password changes.
    reset_to text COLLATE "C",
    version smallint NOT NULL,
    record json NOT NULL,
    CHECK ((due_at IS NULL) <> (failed_at IS NULL))
);
CREATE INDEX mail_due_at ON mail (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX mail_failed_at ON mail (failed_at) WHERE failed_at IS NOT NULL;
CREATE INDEX mail_reset_to ON mail (reset_to) WHERE reset_to IS NOT NULL;

-- The recent mails to an address that count against its allowance.
CREATE TABLE address_mails (
    address text COLLATE "C" PRIMARY KEY,
    -- When the last of them stops counting.
    counts_until bigint NOT NULL,
    version smallint NOT NULL,
    record json NOT NULL
);
CREATE INDEX address_mails_counts_until ON address_mails (counts_until);

CREATE TABLE spent_signature (
    digest bytea PRIMARY KEY,
    until bigint NOT NULL,
    version smallint NOT NULL,
    record json NOT NULL
);
CREATE INDEX spent_signature_until ON spent_signature (until);

-- Events by time; `number` orders those of one microsecond by arrival.
CREATE SEQUENCE audit_number;
CREATE TABLE audit_event (
    micros bigint NOT NULL,
    number bigint NOT NULL DEFAULT nextval('audit_number'),
    version smallint NOT NULL,
    record json NOT NULL,
    PRIMARY KEY (micros, number)
);

-- Index of events by subject, as a digest: names have any length.
CREATE TABLE audit_subject (
    subject bytea NOT NULL,
    micros bigint NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (subject, micros, number),
    FOREIGN KEY (micros, number) REFERENCES audit_event ON DELETE CASCADE
);
CREATE INDEX audit_subject_event ON audit_subject (micros, number);
