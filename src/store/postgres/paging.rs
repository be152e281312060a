//! Paged reading: the rows of a query, some at a time, through a cursor.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::error::OperationError;
use super::row::query;

/// Rows that one fetch returns.
const PIECE: usize = 500;

/// A query that is read in pages within a transaction.
#[derive(Debug)]
pub(super) struct PagedQuery {
    /// The cursor's name, unique within the transaction.
    name: String,
    sql: &'static str,
    state: PagingState,
}

#[derive(Debug)]
enum PagingState {
    Ahead,
    Open,
    Over,
}

impl PagedQuery {
    pub(super) fn new(number: usize, sql: &'static str) -> Self {
        Self {
            name: format!("scan_{number}"),
            sql,
            state: PagingState::Ahead,
        }
    }

    /// Fetches the next rows; empty at the end.
    pub(super) async fn next(&mut self, client: &impl GenericClient) -> Result<Vec<Row>, OperationError> {
        let Self { name, sql, state } = self;
        match state {
            PagingState::Over => return Ok(Vec::new()),
            PagingState::Ahead => {
                let declare = format!("DECLARE {name} NO SCROLL CURSOR FOR {sql}");
                client.batch_execute(&declare).await?;
                *state = PagingState::Open;
            }
            PagingState::Open => {}
        }
        let rows = query(client, &format!("FETCH {PIECE} FROM {name}"), &[]).await?;
        if rows.len() < PIECE {
            client.batch_execute(&format!("CLOSE {name}")).await?;
            *state = PagingState::Over;
        }
        Ok(rows)
    }
}
