//! Aliases: other names that flows may say for node types, such as those of the delegates of an imported process.
//!
//! Invariant: a version that was published says what its alias stood for then; a change is for what is published later.
//!
//! Not here: whether the node type is loaded (`server`, when a flow is checked).

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use stepwell_runtime::journal::Unavailable;

use crate::administration::audit;
use crate::rows::json as read_json;
use crate::sql::values;
use crate::{Act, Store};

/// Aliases are settings under this.
const PREFIX: &str = "alias:";

impl Store {
    /// What `uses` says, by the alias.
    pub async fn aliases(&self) -> std::result::Result<BTreeMap<String, String>, Unavailable> {
        self.read(|db| {
            let rows = db.query(
                "select name, value from setting where name >= 'alias:' and name < 'alias;' order by name",
                &values![],
                |row| Ok((row.get::<String>(0)?, read_json(row, 1)?)),
            )?;
            let named = |(name, value): (String, Json)| {
                Some((name.strip_prefix(PREFIX)?.to_owned(), value["uses"].as_str()?.to_owned()))
            };
            Ok(rows.into_iter().filter_map(named).collect())
        })
        .await
    }

    /// Gives a node type another name, or takes the name away.
    pub async fn put_alias(&self, act: Act, name: &str, uses: Option<&str>) -> std::result::Result<bool, Unavailable> {
        let (name, uses) = (name.to_owned(), uses.map(str::to_owned));
        self.write(move |tx| {
            let setting = format!("{PREFIX}{name}");
            let changed = match &uses {
                Some(uses) => tx.db.execute(
                    "insert into setting (name, value) values (?1, ?2)
                     on conflict (name) do update set value = excluded.value",
                    &values![&setting, json!({ "uses": uses }).to_string()],
                )?,
                None => tx.db.execute("delete from setting where name = ?1", &values![&setting])?,
            };
            if changed == 0 {
                return Ok(false);
            }
            let action = if uses.is_some() { "alias.save" } else { "alias.delete" };
            audit(tx, &act.by, act.at_ms, action, &name, &json!({ "uses": uses }))?;
            Ok(true)
        })
        .await
    }
}
