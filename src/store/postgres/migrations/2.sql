-- When its owner last signed in, or the account was made if they never did. No index has it, so that a sign-in writes none.
ALTER TABLE account ADD COLUMN last_active_at bigint;
UPDATE account SET last_active_at = floor(extract(epoch FROM (record->>'created_at')::timestamptz) * 1000000)::bigint;
ALTER TABLE account ALTER COLUMN last_active_at SET NOT NULL;
