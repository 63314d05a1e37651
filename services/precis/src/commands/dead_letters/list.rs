//! `precis dead-letters list`.

use serde::Serialize;

use super::Filter;
use super::read::{Letter, letters};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::output::{Output, Table};
use crate::report;

#[derive(Serialize)]
struct LetterView<'a> {
    id: &'a str,
    stage: &'a str,
    code: &'a str,
    message: &'a str,
    tenant: Option<&'a str>,
    attempts: i32,
    failed_at: String,
    replayed_at: Option<String>,
    replayed_by: Option<&'a str>,
}

impl<'a> From<&'a Letter> for LetterView<'a> {
    fn from(Letter { letter, action }: &'a Letter) -> Self {
        Self {
            id: &letter.id,
            stage: &letter.stage,
            code: &letter.code,
            message: &letter.message,
            tenant: letter.tenant.as_deref(),
            attempts: letter.attempts,
            failed_at: report::utc(letter.failed_at),
            replayed_at: action.as_ref().map(|action| report::utc(action.at)),
            replayed_by: action.as_ref().map(|action| action.by.as_str()),
        }
    }
}

pub(super) async fn run(environment: &Environment, filter: &Filter, out: &Output) -> anyhow::Result<Exit> {
    let log = environment.log().await?;
    let letters = letters(&log).await?;
    letters.skipped.tell(out);
    let views: Vec<LetterView<'_>> =
        letters.all.iter().filter(|letter| filter.matches(&letter.letter)).map(LetterView::from).collect();
    if out.json() {
        for view in &views {
            out.value(view)?;
        }
        return Ok(Exit::Done);
    }
    if views.is_empty() {
        out.line("no dead letters");
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["Id", "Code", "Tenant", "Attempts", "Failed at", "Replayed", "Message"]);
    for view in &views {
        table.row([
            view.id.to_owned(),
            view.code.to_owned(),
            view.tenant.unwrap_or("").to_owned(),
            view.attempts.to_string(),
            view.failed_at.clone(),
            view.replayed_at.clone().unwrap_or_default(),
            view.message.to_owned(),
        ]);
    }
    out.table(&table);
    Ok(Exit::Done)
}
