//! Pages of accounts: which index a page is read along, and how far.
//!
//! Each combination of filters and orders is a statement of its own: one with optional filters would be planned
//! for all of them, and read the whole table.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::accounts;
use super::error::OperationError;
use super::row::{micros, query, query_value};
use crate::model::AccountStatus;
use crate::store::admin_queries::FEW;
use crate::store::{AccountFilter, AccountPage, AccountQuery, AccountSort, StoreError};

/// The order of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PageOrder {
    Created,
    Email,
    Name,
    LastSignIn,
    /// That of the first terms which begin with the text.
    Term,
}

impl PageOrder {
    fn of(query: &AccountQuery) -> Self {
        match query.order.map(|order| order.by) {
            Some(AccountSort::Email) => Self::Email,
            Some(AccountSort::Name) => Self::Name,
            Some(AccountSort::LastSignIn) => Self::LastSignIn,
            None if query.filter.prefix().is_some() => Self::Term,
            Some(AccountSort::Created) | None => Self::Created,
        }
    }

    /// The column that decides before the id, as a text for cursors.
    fn key(self) -> &'static str {
        match self {
            Self::Created => "''",
            Self::Email => "account.email",
            Self::Name => "sort_name",
            Self::LastSignIn => "signed_in_at::text",
            Self::Term => "account_term.term",
        }
    }

    /// The columns of its index, and its parameters of a cursor.
    fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Created => &["account.id"],
            Self::Email => &["account.email"],
            Self::Name => &["sort_name", "account.id"],
            Self::LastSignIn => &["signed_in_at", "account.id"],
            Self::Term => &["account_term.term", "account.id"],
        }
    }

    /// The byte that marks its cursors.
    fn mark(self) -> u8 {
        match self {
            Self::Created => b'a',
            Self::Email => b'e',
            Self::Name => b'n',
            Self::LastSignIn => b's',
            Self::Term => b'x',
        }
    }
}

/// An end of a page: what its row is sorted by.
struct PageCursor {
    key: String,
    account: Uuid,
}

impl PageCursor {
    fn of(row: &Row) -> Result<Self, OperationError> {
        Ok(Self {
            key: row.try_get("key")?,
            account: row.try_get("id")?,
        })
    }

    fn write(&self, order: PageOrder) -> String {
        let mark = [order.mark()];
        let bytes = [
            mark.as_slice(),
            self.account.as_bytes().as_slice(),
            self.key.as_bytes(),
        ];
        URL_SAFE_NO_PAD.encode(bytes.concat())
    }

    /// Reads a cursor; `None` for one of another query.
    fn read(text: &str, order: PageOrder, filter: &AccountFilter) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (account, key) = bytes.strip_prefix(&[order.mark()])?.split_first_chunk()?;
        let key = String::from_utf8(key.to_vec())
            .ok()
            .filter(|key| !key.contains('\0'))?;
        let is_own = match order {
            PageOrder::Term => key.starts_with(&filter.prefix()?),
            PageOrder::LastSignIn => key.parse::<i64>().is_ok(),
            PageOrder::Created | PageOrder::Email | PageOrder::Name => true,
        };
        is_own.then_some(Self {
            key,
            account: Uuid::from_bytes(*account),
        })
    }
}

/// A statement that is put together, with its parameters.
#[derive(Default)]
struct Statement<'p> {
    conditions: Vec<String>,
    params: Vec<&'p (dyn ToSql + Sync)>,
}

impl<'p> Statement<'p> {
    /// Adds a parameter and returns its name.
    fn bind(&mut self, value: &'p (dyn ToSql + Sync)) -> String {
        self.params.push(value);
        format!("${}", self.params.len())
    }

    fn conditions(&self) -> String {
        match self.conditions.as_slice() {
            [] => "true".to_owned(),
            conditions => conditions.join(" AND "),
        }
    }
}

/// The filter's values as parameters.
struct FilterParams {
    prefix: Option<String>,
    status: Option<&'static str>,
    group: Option<String>,
    inactive: Option<i64>,
}

impl FilterParams {
    fn of(filter: &AccountFilter) -> Self {
        Self {
            prefix: filter.prefix(),
            status: filter.status.map(AccountStatus::as_str),
            group: filter.group.clone(),
            inactive: filter.inactive_since.map(micros),
        }
    }

    /// Adds the conditions on an account.
    fn narrow<'p>(&'p self, statement: &mut Statement<'p>) {
        if let Some(status) = &self.status {
            let status = statement.bind(status);
            statement.conditions.push(format!("status = {status}"));
        }
        if let Some(group) = &self.group {
            let group = statement.bind(group);
            statement
                .conditions
                .push(format!("groups @> ARRAY[{group}::text]"));
        }
        if let Some(inactive) = &self.inactive {
            let inactive = statement.bind(inactive);
            statement.conditions.push(format!("last_active_at < {inactive}"));
        }
    }

    /// The condition on a term, if there is a text.
    fn term_condition<'p>(&'p self, statement: &mut Statement<'p>) -> Option<String> {
        let prefix = statement.bind(self.prefix.as_ref()?);
        Some(format!(
            "account_term.term >= {prefix} AND account_term.term < {prefix} || chr(1114111)"
        ))
    }
}

/// A page to read.
struct PageRead<'q> {
    query: &'q AccountQuery,
    filter: FilterParams,
    order: PageOrder,
    /// Whether the search finds few, which are then read whole, sorted and counted.
    gathers: bool,
    from: Option<PageCursor>,
    /// The time of the cursor in the order of sign-ins.
    signed_in_at: Option<i64>,
    /// Whether the page ends before the cursor.
    backward: bool,
    /// One row more than asked for, which tells whether there is another page.
    limit: i64,
}

/// Reads a page.
pub(super) async fn find(
    client: &impl GenericClient,
    query: &AccountQuery,
) -> Result<AccountPage, OperationError> {
    let filter = FilterParams::of(&query.filter);
    let gathers = finds_few(client, &filter).await?;
    PageRead::new(query, filter, gathers)?.run(client).await
}

impl<'q> PageRead<'q> {
    fn new(query: &'q AccountQuery, filter: FilterParams, gathers: bool) -> Result<Self, OperationError> {
        let order = PageOrder::of(query);
        let from = query.after.as_ref().or(query.before.as_ref()).map(|cursor| {
            PageCursor::read(cursor, order, &query.filter)
                .ok_or(OperationError::Store(StoreError::UnknownCursor))
        });
        let from = from.transpose()?;
        let backward = query.after.is_none() && query.before.is_some();
        Ok(Self {
            query,
            filter,
            order,
            gathers,
            signed_in_at: from.as_ref().and_then(|from| from.key.parse().ok()),
            from,
            backward,
            limit: i64::try_from(query.limit).unwrap_or(i64::MAX).saturating_add(1),
        })
    }

    async fn run(&self, client: &impl GenericClient) -> Result<AccountPage, OperationError> {
        let (sql, params) = self.statement();
        let mut rows = query(client, &sql, &params).await?;
        let has_more = rows.len() > self.query.limit;
        rows.truncate(self.query.limit);
        let total = self.total(client, rows.first()).await?;
        let end = |row: &Row| Ok::<_, OperationError>(PageCursor::of(row)?.write(self.order));
        let first = match (rows.first(), &self.from) {
            (Some(row), _) => Some(end(row)?),
            (None, from) => from.as_ref().map(|from| from.write(self.order)),
        };
        let last = rows.last().filter(|_| has_more).map(end).transpose()?;
        let (previous, next) = if self.backward {
            rows.reverse();
            (last, first)
        } else {
            (first.filter(|_| self.from.is_some()), last)
        };
        let mut page = AccountPage {
            next,
            previous,
            total,
            ..AccountPage::default()
        };
        for row in &rows {
            match accounts::read_found(row) {
                Err(OperationError::Store(StoreError::Corrupt(why))) => page.unreadable.push(why),
                found => page.accounts.push(found?),
            }
        }
        Ok(page)
    }

    fn statement(&self) -> (String, Vec<&(dyn ToSql + Sync)>) {
        let mut statement = Statement::default();
        let found = self.found(&mut statement);
        let columns = self.order.columns();
        let column = |n: usize| {
            if self.gathers {
                format!("k{n}")
            } else {
                columns[n].to_owned()
            }
        };
        let columns: Vec<String> = (0..columns.len()).map(column).collect();
        let descends = self.query.order.is_some_and(|order| order.descending) != self.backward;
        let from = self.from.as_ref().map_or(String::new(), |from| {
            let values = self.values(from, &mut statement);
            format!(
                "{} ({}) {} ({})",
                if self.gathers { "WHERE" } else { "AND" },
                columns.join(", "),
                if descends { "<" } else { ">" },
                values.join(", ")
            )
        });
        let direction = if descends { " DESC" } else { "" };
        let sorted: Vec<String> = columns
            .iter()
            .map(|column| format!("{column}{direction}"))
            .collect();
        let limit = statement.bind(&self.limit);
        let sql = format!("{found} {from} ORDER BY {} LIMIT {limit}", sorted.join(", "));
        (sql, statement.params)
    }

    /// The accounts that the filter lets through, from the table or gathered.
    fn found<'p>(&'p self, statement: &mut Statement<'p>) -> String {
        self.filter.narrow(statement);
        let mut table = "account";
        if let Some(term) = self.filter.term_condition(statement) {
            statement.conditions.push(if self.order == PageOrder::Term {
                table = "account_term JOIN account ON account.id = account_term.account";
                format!(
                    "{term} AND NOT EXISTS (SELECT FROM account_term AS earlier
                        WHERE earlier.account = account.id AND {} AND earlier.term < account_term.term)",
                    term.replace("account_term.", "earlier.")
                )
            } else if self.gathers {
                format!("account.id IN (SELECT account_term.account FROM account_term WHERE {term})")
            } else {
                format!(
                    "EXISTS (SELECT FROM account_term WHERE account_term.account = account.id AND {term})"
                )
            });
        }
        let (key, conditions) = (self.order.key(), statement.conditions());
        if !self.gathers {
            return format!(
                "SELECT account.id, version, record, {key} AS key FROM {table} WHERE {conditions}"
            );
        }
        let columns = self.order.columns().iter().enumerate();
        let columns: Vec<String> = columns.map(|(n, column)| format!("{column} AS k{n}")).collect();
        format!(
            "WITH found AS MATERIALIZED (SELECT account.id AS id, {key} AS key, {} FROM {table} WHERE {conditions})
             SELECT account.id, version, record, key, (SELECT count(*) FROM found) AS total
             FROM found JOIN account USING (id)",
            columns.join(", ")
        )
    }

    /// The values of a cursor, in the order of the columns.
    fn values<'p>(&'p self, from: &'p PageCursor, statement: &mut Statement<'p>) -> Vec<String> {
        let first: Option<&(dyn ToSql + Sync)> = match (self.order, &self.signed_in_at) {
            (PageOrder::Created, _) => None,
            (PageOrder::LastSignIn, Some(at)) => Some(at),
            _ => Some(&from.key),
        };
        let id: Option<&(dyn ToSql + Sync)> = match self.order {
            PageOrder::Email => None,
            _ => Some(&from.account),
        };
        first
            .into_iter()
            .chain(id)
            .map(|value| statement.bind(value))
            .collect()
    }

    /// The number of accounts that match: counted with the `first` row, or kept. `None` where it is neither.
    async fn total(
        &self,
        client: &impl GenericClient,
        first: Option<&Row>,
    ) -> Result<Option<usize>, OperationError> {
        let filter = &self.filter;
        match (first, filter.status, &filter.group) {
            (Some(row), ..) if self.gathers => Ok(Some(at_least_none(row.try_get("total")?))),
            (None, ..) if self.gathers => Ok(Some(0).filter(|_| self.from.is_none())),
            _ if filter.prefix.is_some() || filter.inactive.is_some() => Ok(None),
            (_, Some(status), None) => kept_count(client, "status", status).await.map(Some),
            (_, None, Some(group)) => kept_count(client, "group", group).await.map(Some),
            (_, Some(_), Some(_)) => Ok(None),
            (_, None, None) => {
                let sql = "SELECT coalesce(sum(delta), 0)::bigint FROM account_count WHERE kind = 'status'";
                query_value(client, sql, &[]).await.map(at_least_none).map(Some)
            }
        }
    }
}

/// Whether a filter finds few accounts, by the counts that are kept or by its search terms.
async fn finds_few(client: &impl GenericClient, filter: &FilterParams) -> Result<bool, OperationError> {
    if let Some(prefix) = &filter.prefix {
        let sql = "SELECT count(*) FROM (
            SELECT FROM account_term WHERE term >= $1 AND term < $1 || chr(1114111) LIMIT $2) AS found";
        let more = i64::try_from(FEW).unwrap_or(i64::MAX).saturating_add(1);
        let found: i64 = query_value(client, sql, &[prefix, &more]).await?;
        return Ok(found < more);
    }
    let mut fewest = None;
    for (kind, name) in [("status", filter.status), ("group", filter.group.as_deref())] {
        if let Some(name) = name {
            let count = kept_count(client, kind, name).await?;
            fewest = Some(fewest.map_or(count, |fewest: usize| fewest.min(count)));
        }
    }
    Ok(fewest.is_some_and(|count| count <= FEW))
}

async fn kept_count(client: &impl GenericClient, kind: &str, name: &str) -> Result<usize, OperationError> {
    let sql = "SELECT coalesce(sum(delta), 0)::bigint FROM account_count WHERE kind = $1 AND name = $2";
    Ok(at_least_none(query_value(client, sql, &[&kind, &name]).await?))
}

fn at_least_none(count: i64) -> usize {
    usize::try_from(count).unwrap_or(0)
}
