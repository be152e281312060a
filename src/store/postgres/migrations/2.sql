-- The address of a mail that may bring a link that sets a password: it is withdrawn when that account gets another one.
ALTER TABLE mail ADD COLUMN reset_to text COLLATE "C";
UPDATE mail SET reset_to = lower(record ->> 'to') WHERE record ->> 'topic' IN ('reset', 'already-registered');
CREATE INDEX mail_reset_to ON mail (reset_to) WHERE reset_to IS NOT NULL;
