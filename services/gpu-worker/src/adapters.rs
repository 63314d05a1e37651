//! The adapters that are registered on this machine, as documents name them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use precis_base::lock::locked;
use precis_inference::EngineError;
use precis_inference::models::adapters::{self, AdapterEntry};

/// The registry in a folder of models.
///
/// A name is looked up anew for each document, so an adapter that was registered meanwhile is used
/// at once. What was found stays known by its id: a document whose answer began with one version of
/// an adapter is finished with it.
pub(crate) struct AdapterFolder {
    models_directory: PathBuf,
    /// By id.
    found: Mutex<BTreeMap<String, Arc<AdapterEntry>>>,
}

impl AdapterFolder {
    pub(crate) fn new(models_directory: PathBuf) -> Self {
        Self { models_directory, found: Mutex::default() }
    }

    /// Id of the adapter that has this name now.
    pub(crate) fn id_of(&self, name: &str) -> Result<String, EngineError> {
        let entry = adapters::find(name, &self.models_directory)?;
        let id = entry.id();
        locked(&self.found).entry(id.clone()).or_insert_with(|| Arc::new(entry));
        Ok(id)
    }

    /// The adapter of an id that [`Self::id_of`] gave.
    pub(crate) fn get(&self, id: &str) -> Result<Arc<AdapterEntry>, EngineError> {
        let entry = locked(&self.found).get(id).cloned();
        entry.ok_or_else(|| EngineError::UnknownAdapter { name: id.to_owned(), known: String::new() })
    }
}

#[cfg(test)]
mod tests;
