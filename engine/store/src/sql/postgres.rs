//! `PostgreSQL`: a server, statements prepared once per connection.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::time::Duration;

use postgres::config::SslMode;
use postgres::fallible_iterator::FallibleIterator as _;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Config, NoTls, Statement};

use super::say::to_postgres;
use super::tls::{self, Tls};
use super::{Cell, Each, Error, Kind, Result, Row, Value};

/// Nobody answers: give up, and say so to whoever waits.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// What a connection is told first.
///
/// Rows are found by index whatever the planner believes of a table that has just begun to fill:
/// its guesses come from statistics that are minutes old. A plan is made once per statement. What
/// waits longer than this for another engine's lock is taken back and tried again.
const MANNERS: &str = "set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off;
    set plan_cache_mode = force_generic_plan; set synchronous_commit = on; set lock_timeout = '4s';
    set statement_timeout = '60s'; set idle_in_transaction_session_timeout = '60s'; set client_min_messages = 'error'";

/// A server and a database on it.
#[derive(Clone)]
pub(crate) struct Server {
    config: Config,
    tls: Option<Tls>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

pub(crate) struct Link {
    client: Client,
    statements: HashMap<String, Statement>,
}

impl Server {
    /// From `postgres://user:password@host:port/database`, and how it is encrypted (`tls`).
    pub(crate) fn new(url: &str) -> Result<Self> {
        let (url, mode) = tls::mode(url).map_err(Error::Setting)?;
        let tls = Tls::new(&mode).map_err(Error::Setting)?;
        let mut config: Config = url.parse()?;
        // A server that does not encrypt is not spoken to where that was asked for.
        config.ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable });
        config.connect_timeout(CONNECT_WITHIN);
        if config.get_application_name().is_none() {
            config.application_name("stepwell");
        }
        Ok(Self { config, tls })
    }

    /// Where it is, without what is secret.
    pub(crate) fn shown(&self) -> String {
        let host = self.config.get_hosts().first().map_or_else(String::new, |host| match host {
            postgres::config::Host::Tcp(name) => name.clone(),
            postgres::config::Host::Unix(path) => path.display().to_string(),
        });
        let port = self.config.get_ports().first().map_or_else(String::new, |port| format!(":{port}"));
        format!("postgres://{host}{port}/{}", self.config.get_dbname().unwrap_or_default())
    }

    pub(super) fn connect(&self) -> Result<Link> {
        let mut client = match &self.tls {
            None => self.config.connect(NoTls)?,
            Some(tls) => self.config.connect(tls.clone())?,
        };
        client.batch_execute(MANNERS)?;
        Ok(Link { client, statements: HashMap::new() })
    }
}

impl Link {
    fn prepare(&mut self, sql: &str) -> Result<Statement> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(&to_postgres(sql, &[]))?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    fn prepare_each<const N: usize>(&mut self, each: &Each<N>) -> Result<Statement> {
        let sql = each.to_postgres();
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql)?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    pub(super) fn query<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let statement = self.prepare(sql)?;
        self.client.query(&statement, &refs(values))?.iter().map(|row| read(&Row::Postgres(row))).collect()
    }

    pub(super) fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<usize> {
        let statement = self.prepare(sql)?;
        Ok(count(self.client.execute(&statement, &refs(values))?))
    }

    pub(super) fn query_each<T, const N: usize>(
        &mut self,
        each: &Each<N>,
        rows: &[[Value<'_>; N]],
        mut read: impl FnMut(usize, &Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let statement = self.prepare_each(each)?;
        let arrays = arrays(each, rows);
        let arrays: Vec<&(dyn ToSql + Sync)> = arrays.iter().map(|array| &**array).collect();
        let answers = self.client.query(&statement, &arrays)?;
        answers
            .iter()
            .map(|row| {
                let row = Row::Postgres(row);
                let at: i64 = row.get(0)?;
                read(usize::try_from(at).unwrap_or(usize::MAX), &row)
            })
            .collect()
    }

    pub(super) fn execute_each<const N: usize>(&mut self, each: &Each<N>, rows: &[[Value<'_>; N]]) -> Result<usize> {
        let statement = self.prepare_each(each)?;
        let arrays = arrays(each, rows);
        let arrays: Vec<&(dyn ToSql + Sync)> = arrays.iter().map(|array| &**array).collect();
        Ok(count(self.client.execute(&statement, &arrays)?))
    }

    /// Makes the schema that the search path names, if it names one that is not there.
    pub(super) fn make_schema(&mut self) -> Result<()> {
        let asked = "select current_setting('search_path') where current_schema() is null";
        for schema in self.query(asked, &[], |row| row.get::<String>(0))? {
            let quoted = schema.trim_matches('"').replace('"', "\"\"");
            self.run(&format!("create schema if not exists \"{quoted}\""))?;
        }
        Ok(())
    }

    /// Waits for hints, for a while; many at once are one.
    pub(super) fn hears(&mut self, at_most: Duration) -> Result<bool> {
        let mut notifications = self.client.notifications();
        let heard = notifications.timeout_iter(at_most).next()?.is_some();
        while notifications.iter().next()?.is_some() {}
        Ok(heard)
    }

    pub(super) fn run(&mut self, sql: &str) -> Result<()> {
        Ok(self.client.batch_execute(sql)?)
    }
}

fn count(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}

fn refs<'v>(values: &'v [Value<'_>]) -> Vec<&'v (dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

/// Rows turned into columns.
fn arrays<'v, const N: usize>(each: &Each<N>, rows: &'v [[Value<'_>; N]]) -> Vec<Box<dyn ToSql + Sync + 'v>> {
    let columns = each.kinds.iter().enumerate();
    columns
        .map(|(column, kind)| -> Box<dyn ToSql + Sync + 'v> {
            let values = rows.iter().map(|row| &row[column]);
            match kind {
                Kind::Int => Box::new(values.map(Value::integer).collect::<Vec<Option<i64>>>()),
                Kind::Text => Box::new(values.map(Value::text).collect::<Vec<Option<&str>>>()),
                Kind::Bytes => Box::new(values.map(Value::bytes).collect::<Vec<Option<&[u8]>>>()),
            }
        })
        .collect()
}

impl Value<'_> {
    fn integer(&self) -> Option<i64> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }

    fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    fn bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut bytes::BytesMut,
    ) -> std::result::Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(number) => match *ty {
                Type::INT2 => i16::try_from(*number)?.to_sql(ty, out),
                Type::INT4 => i32::try_from(*number)?.to_sql(ty, out),
                Type::BOOL => (*number != 0).to_sql(ty, out),
                _ => number.to_sql(ty, out),
            },
            Self::Text(text) => (&**text).to_sql(ty, out),
            Self::Bytes(bytes) => (&**bytes).to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true // Columns and parameters of ours agree; where they do not, the server says so.
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Cell<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> std::result::Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(match *ty {
            Type::INT8 => Self::Int(i64::from_sql(ty, raw)?),
            Type::INT4 => Self::Int(i32::from_sql(ty, raw)?.into()),
            Type::INT2 => Self::Int(i16::from_sql(ty, raw)?.into()),
            Type::BOOL => Self::Int(bool::from_sql(ty, raw)?.into()),
            Type::TEXT | Type::VARCHAR | Type::NAME => Self::Text(<&str>::from_sql(ty, raw)?),
            Type::BYTEA => Self::Bytes(raw),
            _ => Self::Other,
        })
    }

    fn from_sql_null(_: &Type) -> std::result::Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
