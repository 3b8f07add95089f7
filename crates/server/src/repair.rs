//! Data directories that no server runs on: what they hold, and putting damaged ones right.

use std::error::Error;
use std::path::Path;

use oxherd_storage::{BodyProgress, Layout, OsDisk, SnapshotBody, SnapshotFile, StorageError};
use oxherd_tree::{LoadProgress, Loader, TreeOptions};

pub use oxherd_proto::{Epoch, Zxid};
pub use oxherd_storage::{LogState, Problem, Repair, SnapshotState, Survey};

use crate::data::Lock;

/// A data directory that no server runs on while this is held.
#[derive(Debug)]
pub struct DataDirectory {
    survey: Survey,
    _lock: Option<Lock>,
}

impl DataDirectory {
    /// Looks at a directory, and at that of the logs when they are apart. Changes nothing, but with `hold`
    /// keeps servers out, which leaves a lock file.
    ///
    /// Errors: [`StorageError::Refused`] when there is no data, or a server runs on it; those of the system.
    pub fn survey(data_dir: &Path, log_dir: Option<&Path>, hold: bool) -> Result<Self, StorageError> {
        let layout = Layout::new(data_dir, log_dir);
        for dir in [&layout.snap_dir, &layout.log_dir] {
            if !dir.is_dir() {
                let reason =
                    format!("{} is not there: is this the dataDir of a server's zoo.cfg?", dir.display());
                return Err(StorageError::Refused(reason));
            }
        }
        let was_served = layout.snap_dir.join("oxherd.lock").exists();
        let lock = if hold || was_served { Some(Lock::take(&layout)?) } else { None };
        let survey = Survey::of(&OsDisk, data_dir, layout, &mut |file| Box::new(Check::of(file)))?;
        Ok(Self { survey, _lock: lock })
    }

    /// What was found.
    pub fn found(&self) -> &Survey {
        &self.survey
    }

    /// What would put it right.
    ///
    /// Errors: as of [`Repair::plan`].
    pub fn plan(&self) -> Result<Repair, StorageError> {
        Repair::plan(&OsDisk, &self.survey)
    }

    /// Carries out a plan; the directories that hold what was moved.
    pub fn carry_out(&self, repair: &Repair) -> Result<Vec<std::path::PathBuf>, StorageError> {
        repair.carry_out(&OsDisk, &self.survey)
    }
}

/// Builds the tree of a snapshot, as a start does, only to see whether it can.
struct Check(Loader);

impl Check {
    fn of(file: &SnapshotFile) -> Self {
        Self(Loader::new(TreeOptions::default()).expecting(file.len))
    }
}

impl SnapshotBody for Check {
    fn push(&mut self, bytes: &[u8]) -> Result<BodyProgress, Box<dyn Error + Send + Sync>> {
        Ok(match self.0.push(bytes)? {
            LoadProgress::More => BodyProgress::More,
            LoadProgress::Done { consumed } => BodyProgress::Done { consumed },
        })
    }
}
