//! The database of an instance, and how it is opened again after it has failed.
//!
//! Rule: RocksDB that could not write stays as it was left, with an error that it may never clear by itself, or with families
//! that nobody has a handle of. A new one on the same files has neither. Whoever wipes a task after a failure opens it anew; what
//! other tasks have under way is lost by that, so a flush belongs to one opening and fails in the next.

use super::{Db, failure, open};
use crate::error::{Failure, Result};
use rocksdb::Cache;
use rocksdb::properties::BACKGROUND_ERRORS;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

/// See the module.
pub struct Database {
    path: PathBuf,
    pub cache: Cache,
    /// None: it could not be opened again yet.
    db: RwLock<Option<Db>>,
    /// How often it was opened; changes only while `db` is locked for writing.
    openings: AtomicU64,
    /// A call has failed half way.
    doubtful: AtomicBool,
}

impl Database {
    /// Opens it. One that is damaged is removed: the changelog has everything.
    pub fn open(path: PathBuf, cache: Cache) -> Result<Self> {
        let db = open(&path, &cache)?;
        Ok(Self {
            path,
            cache,
            db: RwLock::new(Some(db)),
            openings: AtomicU64::new(0),
            doubtful: AtomicBool::new(false),
        })
    }

    /// Calls it with the database, and the number of its opening, which stays open meanwhile.
    pub fn with<T>(&self, call: impl FnOnce(&Db, u64) -> Result<T>) -> Result<T> {
        // A panic under this lock leaves a whole database, or none.
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        let db = db.as_ref().ok_or_else(|| {
            Failure::Retry("state on disk: it could not be opened again yet; if the disk is full, make room".into())
        })?;
        call(db, self.openings.load(Ordering::Relaxed))
    }

    /// A call has failed half way: what it has left behind is found by the next opening.
    pub fn doubt(&self) {
        self.doubtful.store(true, Ordering::Relaxed);
    }

    /// Opens it again, if it has failed since it was opened.
    pub fn mend(&self) -> Result<()> {
        let whole = |db: &Db, _| Ok(errors(db)? == 0);
        if !self.doubtful.load(Ordering::Relaxed) && self.with(whole).unwrap_or(false) {
            return Ok(());
        }
        let mut db = self.db.write().unwrap_or_else(PoisonError::into_inner);
        // The old one first: it holds the lock of the files.
        *db = None;
        self.openings.fetch_add(1, Ordering::Relaxed);
        *db = Some(open(&self.path, &self.cache)?);
        self.doubtful.store(false, Ordering::Relaxed);
        Ok(())
    }
}

/// How often RocksDB has failed in the background since it was opened.
pub fn errors(db: &Db) -> Result<u64> {
    let count = db.property_int_value(BACKGROUND_ERRORS).map_err(|e| failure(&e))?;
    Ok(count.unwrap_or(0))
}
