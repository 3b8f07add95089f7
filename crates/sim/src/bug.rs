//! Bugs put back on purpose, at the driver's boundary, to show that the simulation finds them.
//!
//! The core crates carry no switch: each bug is a driver that does not keep its side of the contract
//! (storage commands, links, recovery) in the way the original once did not.

/// One bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the table below says what each is")]
pub enum Bug {
    AckBeforeSync,
    AckBeforeWrite,
    SnapshotWithoutSync,
    NoDirectorySync,
    EventAfterReply,
    RepliesSwapped,
    NoExpiry,
    WallClockExpiry,
    TruncWithoutSync,
    Zk3911,
    Zk4643,
    Zk4646,
    Zk4685,
    Zk4394,
    Zk4925,
    Zk4712,
    Zk5094,
    Zk4882,
    ReconfigForgotten,
    ReconfigAtProposal,
    ReconfigFormerQuorum,
}

/// Which world shows a bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// One server with clients.
    Alone,
    /// Servers that agree.
    Ensemble,
    /// Servers that agree, and others that join them.
    Changing,
}

/// Every bug: its name, the world that shows it, what the driver does wrong.
pub const BUGS: [(Bug, &str, World, &str); 21] = [
    (Bug::AckBeforeSync, "ack-before-sync", World::Alone, "a write is answered before the log is synced"),
    (
        Bug::AckBeforeWrite,
        "ack-before-write",
        World::Alone,
        "a write is applied and answered before it is in the log",
    ),
    (
        Bug::SnapshotWithoutSync,
        "snapshot-without-sync",
        World::Alone,
        "a snapshot gets its name without a sync of its bytes, and the logs before it are removed",
    ),
    (Bug::NoDirectorySync, "no-directory-sync", World::Alone, "no directory is ever synced"),
    (
        Bug::EventAfterReply,
        "event-after-reply",
        World::Alone,
        "watch events go out behind the replies of the same flush",
    ),
    (Bug::RepliesSwapped, "replies-swapped", World::Alone, "two replies of one flush change places"),
    (Bug::NoExpiry, "no-expiry", World::Alone, "the replica is not woken, so silent sessions live on"),
    (Bug::WallClockExpiry, "wall-clock-expiry", World::Alone, "timeouts follow the wall clock, which jumps"),
    (
        Bug::TruncWithoutSync,
        "trunc-without-sync",
        World::Ensemble,
        "TRUNC is answered before the cut is durable",
    ),
    (
        Bug::Zk3911,
        "zookeeper-3911",
        World::Ensemble,
        "NEWLEADER is acknowledged before the txns of the DIFF are synced",
    ),
    (
        Bug::Zk4643,
        "zookeeper-4643",
        World::Ensemble,
        "the current epoch is written before the txns that precede it",
    ),
    (
        Bug::Zk4646,
        "zookeeper-4646",
        World::Ensemble,
        "txns that come during synchronization are written later, by a thread nobody waits for",
    ),
    (Bug::Zk4685, "zookeeper-4685", World::Ensemble, "the ACK of a txn overtakes that of NEWLEADER"),
    (
        Bug::Zk4394,
        "zookeeper-4394",
        World::Ensemble,
        "a COMMIT between NEWLEADER and UPTODATE ends the learner",
    ),
    (Bug::Zk4925, "zookeeper-4925", World::Ensemble, "a leader hands on its history with a hole in it"),
    (
        Bug::Zk4712,
        "zookeeper-4712",
        World::Ensemble,
        "the former role's log thread goes on behind the next role's back",
    ),
    (Bug::Zk5094, "zookeeper-5094", World::Ensemble, "TRUNC cuts the log and leaves the tree as it was"),
    (
        Bug::Zk4882,
        "zookeeper-4882",
        World::Ensemble,
        "after a disk error the server goes on with what memory says",
    ),
    (
        Bug::ReconfigForgotten,
        "reconfig-forgotten",
        World::Changing,
        "a proposed ensemble is not kept on disk, so a restart knows the former quorum alone",
    ),
    (
        Bug::ReconfigAtProposal,
        "reconfig-at-proposal",
        World::Changing,
        "a proposed ensemble is kept as if it were in force",
    ),
    (
        Bug::ReconfigFormerQuorum,
        "reconfig-former-quorum",
        World::Changing,
        "proposals count as held by joiners once they are sent, so the former quorum decides alone",
    ),
];

impl Bug {
    /// The bug of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        BUGS.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    fn row(self) -> &'static (Self, &'static str, World, &'static str) {
        BUGS.iter().find(|row| row.0 == self).expect("every bug has a row, as a test shows")
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// The world that shows it.
    pub fn world(self) -> World {
        self.row().2
    }
}
