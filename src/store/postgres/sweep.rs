//! Removing what is over.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use jiff::Timestamp;

use super::fault::Fault;
use super::row::{execute, micros};

/// How long a mail that failed for good is kept for administrators to see.
const KEEP_FAILED: Duration = Duration::from_hours(30 * 24);

/// Removes sessions made before `sessions_before`, and what is over at `now`, signatures excepted.
pub(super) async fn run(
    client: &impl GenericClient,
    now: Timestamp,
    sessions_before: Timestamp,
) -> Result<(), Fault> {
    let failed_by = now.checked_sub(KEEP_FAILED).unwrap_or(Timestamp::MIN);
    for (sql, time) in [
        ("DELETE FROM session WHERE created_at < $1", sessions_before),
        ("DELETE FROM invitation WHERE expires_at <= $1", now),
        ("DELETE FROM mailed_token WHERE expires_at <= $1", now),
        ("DELETE FROM mail WHERE failed_at <= $1", failed_by),
        ("DELETE FROM address_mails WHERE counts_until <= $1", now),
    ] {
        execute(client, sql, &[&micros(time)]).await?;
    }
    Ok(())
}
