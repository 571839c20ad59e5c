"""What happened, written down by Postgres itself: a trigger notes each move of a job, a segment and an artifact.

A move is in the transaction that it tells of, so that what was rolled back is not told, and a crash loses neither alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Engine

_INSTALL = """
CREATE SCHEMA IF NOT EXISTS chaos;
CREATE TABLE IF NOT EXISTS chaos.moves (
    number bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(), what text NOT NULL,
    id uuid, job_id uuid NOT NULL, account_id uuid NOT NULL, old text, new text, stage text,
    old_attempt bigint, attempt bigint, leased boolean, lease interval, name text);
CREATE INDEX IF NOT EXISTS moves_of ON chaos.moves (id, number);
CREATE OR REPLACE FUNCTION chaos.note_job() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO chaos.moves (what, id, job_id, account_id, old, new, stage, old_attempt, attempt, leased,
                             lease)
    VALUES ('job', NEW.id, NEW.id, NEW.account_id, CASE WHEN TG_OP = 'UPDATE' THEN OLD.state END, NEW.state,
            NEW.stage, CASE WHEN TG_OP = 'UPDATE' THEN OLD.attempt END, NEW.attempt, NEW.leased_until IS NOT NULL,
            NEW.leased_until - clock_timestamp());
    RETURN NULL; END $$;
CREATE OR REPLACE FUNCTION chaos.note_segment() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO chaos.moves (what, id, job_id, account_id, old, new, old_attempt, attempt, lease)
    VALUES ('segment', NEW.id, NEW.job_id, NEW.account_id, OLD.state, NEW.state, OLD.attempt, NEW.attempt,
            NEW.leased_until - clock_timestamp());
    RETURN NULL; END $$;
CREATE OR REPLACE FUNCTION chaos.note_artifact() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO chaos.moves (what, job_id, account_id, old, name)
    VALUES ('artifact', coalesce(NEW.job_id, OLD.job_id), coalesce(NEW.account_id, OLD.account_id), TG_OP,
            coalesce(NEW.name, OLD.name));
    RETURN NULL; END $$;
CREATE OR REPLACE TRIGGER chaos_made AFTER INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION chaos.note_job();
CREATE OR REPLACE TRIGGER chaos_moved AFTER UPDATE ON jobs FOR EACH ROW
    WHEN (OLD.state <> NEW.state OR OLD.attempt <> NEW.attempt OR OLD.stage IS DISTINCT FROM NEW.stage
          OR (OLD.leased_until IS NULL) <> (NEW.leased_until IS NULL)) EXECUTE FUNCTION chaos.note_job();
CREATE OR REPLACE TRIGGER chaos_moved AFTER UPDATE ON segments FOR EACH ROW
    WHEN (OLD.state <> NEW.state OR OLD.attempt <> NEW.attempt) EXECUTE FUNCTION chaos.note_segment();
CREATE OR REPLACE TRIGGER chaos_moved AFTER INSERT OR UPDATE OR DELETE ON artifacts
    FOR EACH ROW EXECUTE FUNCTION chaos.note_artifact();
"""


def install(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(_INSTALL))
