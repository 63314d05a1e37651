//! The embedded log's file: how it is opened and what is in it.
//!
//! WAL, so that readers never wait for a writer, nor it for them, across processes too.
//! `synchronous = FULL`, so that a commit returns after the WAL is on disk: acknowledged means
//! durable, across a kill -9 and a power failure alike.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::database::StoreError;
use crate::error::FlowError;

/// "PREC": says whose file it is.
const APPLICATION_ID: i64 = 0x5052_4543;
/// Raised when the tables change.
const FORMAT: i64 = 2;
/// How long to wait for another process's transaction. They take milliseconds; one that takes this
/// long hangs.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Enough for every statement of this crate.
const STATEMENT_CACHE: usize = 64;

const TABLES: &str = "
    CREATE TABLE topics (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        partitions INTEGER NOT NULL,
        compacted INTEGER NOT NULL,
        retention_ms INTEGER,
        max_message_bytes INTEGER NOT NULL
    ) STRICT;
    -- low: the first offset still there. next: the offset of the next record.
    CREATE TABLE partitions (
        topic INTEGER NOT NULL,
        partition INTEGER NOT NULL,
        low INTEGER NOT NULL,
        next INTEGER NOT NULL,
        PRIMARY KEY (topic, partition)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE records (
        topic INTEGER NOT NULL,
        partition INTEGER NOT NULL,
        offset INTEGER NOT NULL,
        timestamp_ms INTEGER NOT NULL,
        key BLOB,
        value BLOB,
        headers BLOB NOT NULL,
        UNIQUE (topic, partition, offset)
    ) STRICT;
    -- epoch: raised by each member that joins; an older one can commit no more.
    CREATE TABLE groups (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE offsets (
        group_name TEXT NOT NULL,
        topic INTEGER NOT NULL,
        partition INTEGER NOT NULL,
        next INTEGER NOT NULL,
        -- mark: how the member that committed stood to the partition.
        mark TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (group_name, topic, partition)
    ) STRICT, WITHOUT ROWID;
    -- epoch: raised by each exclusive writer of the name.
    CREATE TABLE writers (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

/// What format 2 has more than format 1.
const FROM_FORMAT_1: &str = "ALTER TABLE offsets ADD COLUMN mark TEXT NOT NULL DEFAULT ''";

/// Opens the file, and creates it with its tables when it does not exist. Several processes may do
/// so at once.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    // rusqlite's defaults less URI file names, which would give `?` in a path a meaning.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    check_owner(&connection, path)?;
    set_wal(&connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    create_tables(&mut connection, path)?;
    Ok(connection)
}

/// Refuses to touch a database that is not ours.
///
/// Mark and tables are read in one transaction: between two statements another process may create
/// the tables of a new log, which would then be without its mark.
fn check_owner(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let snapshot = connection.unchecked_transaction()?;
    let id: i64 = snapshot.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    drop(snapshot);
    if id == APPLICATION_ID || (id == 0 && tables == 0) {
        return Ok(());
    }
    Err(FlowError::Corrupt { path: path.to_owned(), detail: "it is the database of another program".to_owned() }.into())
}

/// The switch to WAL needs the file alone for a moment, and SQLite does not wait for it by itself.
fn set_wal(connection: &Connection) -> Result<(), StoreError> {
    let deadline = std::time::Instant::now() + BUSY_TIMEOUT;
    loop {
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0)) {
            Ok(mode) if mode.eq_ignore_ascii_case("wal") => return Ok(()),
            Ok(mode) => return Err(FlowError::Internal { detail: format!("SQLite keeps journal mode {mode}") }.into()),
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && std::time::Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn create_tables(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found {
        FORMAT => {}
        1 => {
            transaction.execute_batch(FROM_FORMAT_1)?;
            transaction.pragma_update(None, "user_version", FORMAT)?;
        }
        0 => {
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", FORMAT)?;
        }
        found => return Err(FlowError::Format { path: path.to_owned(), found, expected: FORMAT }.into()),
    }
    transaction.commit()?;
    Ok(())
}
