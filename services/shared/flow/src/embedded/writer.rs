//! The one writer of a name on the embedded log: an epoch that every commit checks.

use async_trait::async_trait;

use super::database::Database;
use super::store;
use crate::error::FlowError;
use crate::log::ExclusiveWriter;
use crate::member::Epoch;
use crate::values::Output;
use precis_base::clock::now_ms;

pub(super) struct EmbeddedWriter {
    database: Database,
    name: String,
    epoch: Epoch,
}

impl EmbeddedWriter {
    pub(super) async fn take_over(database: Database, name: &str) -> Result<Self, FlowError> {
        let owned = name.to_owned();
        let raise = move |transaction: &rusqlite::Transaction<'_>| {
            store::raise_epoch(transaction, store::Holder::Writer, &owned)
        };
        let epoch = database.write("taking over a writer's name", raise).await?;
        Ok(Self { database, name: name.to_owned(), epoch })
    }
}

#[async_trait]
impl ExclusiveWriter for EmbeddedWriter {
    async fn commit(&mut self, outputs: Vec<Output>) -> Result<(), FlowError> {
        let (name, epoch) = (self.name.clone(), self.epoch);
        let commit = move |transaction: &rusqlite::Transaction<'_>| {
            store::check_epoch(transaction, store::Holder::Writer, &name, epoch)?;
            let written = outputs
                .iter()
                .map(|output| store::append(transaction, output, now_ms()))
                .collect::<Result<Vec<_>, _>>()?;
            store::leave_gaps(transaction, &written)
        };
        self.database.write("committing", commit).await
    }
}
