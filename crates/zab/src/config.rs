//! What a server is told once, at its start.

use std::time::Duration;

use bytes::Bytes;
use oxherd_proto::{Epoch, ServerId, Zxid};

use crate::dynamic_config::EnsembleConfig;

/// Settings of agreement.
#[derive(Clone, Debug)]
pub struct PeerConfig {
    /// This server; `myid`.
    pub server: ServerId,
    /// The ensemble as the files say.
    pub ensemble: EnsembleConfig,
    /// A newer configuration that was proposed and kept, if any; `zoo.cfg.dynamic.next`.
    pub ensemble_seen: Option<EnsembleConfig>,
    /// Unit of the limits; `tickTime`, default 3 s.
    pub tick: Duration,
    /// Ticks to connect and synchronize; `initLimit`, default 10.
    pub init_limit: u32,
    /// Ticks of silence a link may have; `syncLimit`, default 5.
    pub sync_limit: u32,
    /// Ticks to reach the leader; `connectToLearnerMasterLimit`, `None` = `init_limit`.
    pub connect_limit: Option<u32>,
    /// First pause before notifications are sent again; `fastleader.minNotificationInterval`, 200 ms.
    pub notify_again_min: Duration,
    /// Longest such pause; `fastleader.maxNotificationInterval`, 60 s.
    pub notify_again_max: Duration,
    /// How long a quorum of votes waits for a better vote; ends early when nobody is left to give one.
    pub finalize_wait: Duration,
    /// How long a server whose disk is full waits before it votes, so that others elect one of themselves.
    pub no_room_delay: Duration,
    /// Longest random pause of an observer before it looks again; `observer.election.DelayMs`, 200 ms.
    pub observer_delay_max: Duration,
    /// Longest random pause of an observer before it dials its leader; `observer.reconnectDelayMs`, none.
    pub observer_dial_delay_max: Duration,
    /// Delivered txns kept for learners that come back; `commitLogCount`, default 500.
    pub commit_log_count: usize,
    /// Whether the log files may serve a learner too old for the kept txns; `snapshotSizeFactor` ≥ 0.
    pub log_sync: bool,
    /// Whether every learner is sent a snapshot, whatever it has; `forceSnapshotSync`, for tests.
    pub force_snapshot: bool,
    /// Whether read-only clients are welcome while no leader is found; `readonlymode.enabled`.
    pub read_only: bool,
    /// Whether changes of the configuration are obeyed; `reconfigEnabled`.
    pub reconfig: bool,
    /// Whether, as a follower, it serves observers, and as an observer goes to a follower; that is
    /// whether `observerMasterPort` is set.
    pub observer_master: bool,
    /// Observers that may be sent a snapshot at a time; `leader.maxConcurrentSnapSyncs`, default 10.
    pub snap_syncs_max: usize,
    /// Observers that may be sent a diff at a time; `leader.maxConcurrentDiffSyncs`, default 100.
    pub diff_syncs_max: usize,
    /// How long a leader waits for a quorum of epochs once one that elected it looks for another;
    /// `leader.maxTimeToWaitForEpoch`, `None` = as without that.
    pub epoch_wait: Option<Duration>,
    /// Whether it keeps a log as an observer; `syncEnabled`, default yes.
    pub observer_log: bool,
    /// Last counter an epoch uses; Java uses no counter of all ones. Lower only in tests.
    pub counter_max: u32,
    /// For the observer's pause.
    pub seed: u64,
}

impl PeerConfig {
    /// Java's defaults for this server of this ensemble.
    pub fn new(server: ServerId, ensemble: EnsembleConfig) -> Self {
        Self {
            server,
            ensemble,
            ensemble_seen: None,
            tick: Duration::from_millis(3000),
            init_limit: 10,
            sync_limit: 5,
            connect_limit: None,
            notify_again_min: Duration::from_millis(200),
            notify_again_max: Duration::from_secs(60),
            finalize_wait: Duration::from_millis(200),
            no_room_delay: Duration::from_secs(1),
            observer_delay_max: Duration::from_millis(200),
            observer_dial_delay_max: Duration::ZERO,
            commit_log_count: 500,
            log_sync: true,
            force_snapshot: false,
            read_only: false,
            reconfig: false,
            observer_master: false,
            snap_syncs_max: 10,
            diff_syncs_max: 100,
            epoch_wait: None,
            observer_log: true,
            counter_max: Zxid::COUNTER_MAX - 1,
            seed: 0,
        }
    }

    pub(crate) fn init_time(&self) -> Duration {
        self.tick * self.init_limit
    }

    pub(crate) fn sync_time(&self) -> Duration {
        self.tick * self.sync_limit
    }

    pub(crate) fn connect_time(&self) -> Duration {
        self.tick * self.connect_limit.unwrap_or(self.init_limit)
    }
}

/// What the history on a server's disk is worth, as the shell found it at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Past {
    /// It is all this server ever had, up to this zxid; at zxid 0 there never was anything.
    Whole(Zxid),
    /// There is nothing, and nobody said whether that is right: a new server, or one whose disk was emptied. It votes
    /// as long as nobody shows a history.
    Empty,
    /// It is not to be relied on: such a server does not vote before it learned the history from a leader.
    #[default]
    Unknown,
}

/// What the disk held at the start. All of it is durable, and the tree holds exactly this history.
#[derive(Clone, Debug, Default)]
pub struct DurableState {
    /// Snapshot and log.
    pub past: Past,
    /// From its file.
    pub accepted_epoch: Epoch,
    /// From its file.
    pub current_epoch: Epoch,
    /// The log files hold every txn after this zxid; at least the newest snapshot's zxid is safe to say.
    pub log_complete_after: Zxid,
    /// The last txns of the log, in order and without a gap up to `last_zxid`; may be empty.
    pub recent: Vec<(Zxid, Bytes)>,
    /// The zxid before the first of `recent`; `last_zxid` when that is empty.
    pub recent_after: Zxid,
}
