//! Reading many rows, some at a time.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::fault::Fault;
use super::row::query;

/// Rows that are read at once.
const PIECE: usize = 500;

/// The rows of a query, within a transaction.
#[derive(Debug)]
pub(super) struct Scan {
    /// Of its cursor; no other scan of the transaction has it.
    name: String,
    sql: &'static str,
    state: State,
}

#[derive(Debug)]
enum State {
    Ahead,
    Open,
    Over,
}

impl Scan {
    pub(super) fn new(number: usize, sql: &'static str) -> Self {
        Self {
            name: format!("scan_{number}"),
            sql,
            state: State::Ahead,
        }
    }

    /// The next rows; none at the end.
    pub(super) async fn next(&mut self, client: &impl GenericClient) -> Result<Vec<Row>, Fault> {
        let Self { name, sql, state } = self;
        match state {
            State::Over => return Ok(Vec::new()),
            State::Ahead => {
                let declare = format!("DECLARE {name} NO SCROLL CURSOR FOR {sql}");
                client.batch_execute(&declare).await?;
                *state = State::Open;
            }
            State::Open => {}
        }
        let rows = query(client, &format!("FETCH {PIECE} FROM {name}"), &[]).await?;
        if rows.len() < PIECE {
            client.batch_execute(&format!("CLOSE {name}")).await?;
            *state = State::Over;
        }
        Ok(rows)
    }
}
