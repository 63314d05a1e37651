//! Two threads in front of the file: one writes, one reads. Nothing of SQLite ever runs on a tokio
//! thread.
//!
//! A write is one function in one immediate transaction: it commits when the function returns `Ok`,
//! and rolls back otherwise. Whoever waits for records watches [`Database::changes`], which moves
//! after every commit of this process and, within [`FOREIGN_POLL`], after one of another.

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use precis_base::private;
use rusqlite::{Connection, Error, ErrorCode, Transaction, TransactionBehavior};
use tokio::sync::{oneshot, watch};

use super::{headers, schema};
use crate::error::FlowError;

/// How often to look for the commits of other processes: a read of shared memory, no I/O.
const FOREIGN_POLL: Duration = Duration::from_millis(50);

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A failure inside of a job: SQLite's, or the log's own.
#[derive(Debug)]
pub(super) enum StoreError {
    Sql(rusqlite::Error),
    Flow(FlowError),
    /// The file holds what this crate never writes.
    Damaged(&'static str),
}

impl From<headers::Damaged> for StoreError {
    fn from(_: headers::Damaged) -> Self {
        Self::Damaged("the headers of a record do not decode")
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<FlowError> for StoreError {
    fn from(error: FlowError) -> Self {
        Self::Flow(error)
    }
}

/// A handle to the file. The threads end when the last one is dropped.
#[derive(Clone, Debug)]
pub(super) struct Database {
    path: Arc<Path>,
    writer: mpsc::Sender<Job>,
    reader: mpsc::Sender<Job>,
    changes: watch::Receiver<u64>,
    changed: Arc<watch::Sender<u64>>,
}

impl Database {
    pub(super) async fn open(path: &Path) -> Result<Self, FlowError> {
        let path: Arc<Path> = path.into();
        let (write, read) = tokio::task::spawn_blocking({
            let path = Arc::clone(&path);
            move || open_both(&path).map_err(|error| flow_error(error, &path, "opening it"))
        })
        .await
        .map_err(|error| FlowError::Internal { detail: error.to_string() })??;
        let (changed, changes) = watch::channel(0);
        let changed = Arc::new(changed);
        let (writer, jobs) = mpsc::channel();
        spawn("precis-log-write", move || serve(write, &jobs, None))?;
        let (reader, jobs) = mpsc::channel();
        // Weak, so that the threads do not keep the channel, and with it themselves, alive.
        let watcher = Arc::downgrade(&changed);
        let moved = move || {
            if let Some(changed) = watcher.upgrade() {
                bump(&changed);
            }
        };
        spawn("precis-log-read", move || serve(read, &jobs, Some(&moved)))?;
        Ok(Self { path, writer, reader, changes, changed })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves after every commit, of whichever process.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// Runs a function in one transaction that is on disk when this returns `Ok`.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        doing: &'static str,
        run: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, FlowError> {
        let result = self
            .submit(&self.writer, doing, move |connection| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let value = run(&transaction)?;
                transaction.commit()?;
                Ok(value)
            })
            .await;
        if result.is_ok() {
            bump(&self.changed);
        }
        result
    }

    /// Runs a function that only reads, on one snapshot.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        doing: &'static str,
        run: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, FlowError> {
        self.submit(&self.reader, doing, move |connection| run(&connection.transaction()?)).await
    }

    async fn submit<T: Send + 'static>(
        &self,
        thread: &mpsc::Sender<Job>,
        doing: &'static str,
        run: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, FlowError> {
        let (reply, result) = oneshot::channel();
        let job = move |connection: &mut Connection| drop(reply.send(run(connection)));
        thread.send(Box::new(job)).map_err(|_| FlowError::Closed)?;
        result.await.map_err(|_| FlowError::Closed)?.map_err(|error| flow_error(error, &self.path, doing))
    }
}

fn open_both(path: &Path) -> Result<(Connection, Connection), StoreError> {
    if let Some(folder) = path.parent() {
        private::create_folders(folder).map_err(|error| FlowError::Unavailable {
            doing: "creating its folder",
            detail: format!("{}: {error}", folder.display()),
        })?;
    }
    // SQLite takes an empty file for a new database, and gives the files beside it the same mode.
    // An error here is SQLite's in the next line, too.
    drop(private::file_options().write(true).create_new(true).open(path));
    let connections = (schema::open(path)?, schema::open(path)?);
    if let Some(mode) = private::wider_mode(path) {
        let path = path.display();
        tracing::warn!(%path, mode = %format_args!("{mode:o}"), "others on this machine may open the log: chmod it to 600");
    }
    Ok(connections)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), FlowError> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map(drop).map_err(|error| FlowError::Unavailable { doing: "starting a thread", detail: error.to_string() })
}

/// Runs jobs until nobody can send any more. With `moved`, tells when another connection has
/// committed.
fn serve(mut connection: Connection, jobs: &mpsc::Receiver<Job>, moved: Option<&dyn Fn()>) {
    let mut version = None;
    loop {
        match jobs.recv_timeout(FOREIGN_POLL) {
            Ok(job) => job(&mut connection),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
        let Some(moved) = moved else { continue };
        // A file that cannot be read now says so to whoever asks it something; this only looks.
        let now: Option<i64> = connection.pragma_query_value(None, "data_version", |row| row.get(0)).ok();
        if now != version {
            version = now;
            moved();
        }
    }
}

fn bump(changed: &watch::Sender<u64>) {
    changed.send_modify(|count| *count += 1);
}

fn flow_error(error: StoreError, path: &Path, doing: &'static str) -> FlowError {
    let path = || -> PathBuf { path.to_owned() };
    let error = match error {
        StoreError::Flow(error) => return error,
        StoreError::Damaged(detail) => return FlowError::Corrupt { path: path(), detail: detail.to_owned() },
        StoreError::Sql(error) => error,
    };
    if let Error::InvalidColumnType(..) | Error::IntegralValueOutOfRange(..) | Error::Utf8Error(..) = error {
        // The tables are strict: such a value was not written by anybody.
        return FlowError::Corrupt { path: path(), detail: error.to_string() };
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => FlowError::Full { path: path() },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            FlowError::Corrupt { path: path(), detail: error.to_string() }
        }
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            FlowError::Denied { doing, detail: format!("{}: {error}", path().display()) }
        }
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::OutOfMemory,
        ) => FlowError::Unavailable { doing, detail: format!("{}: {error}", path().display()) },
        _ => FlowError::Internal { detail: format!("SQLite, while {doing}: {error}") },
    }
}
