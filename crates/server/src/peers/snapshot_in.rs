//! The tree as a leader sends it: behind a SNAP packet, up to a mark.

use std::io::{self, Read};

use bytes::BytesMut;
use oxherd_proto::{SessionId, Zxid};
use oxherd_storage::{OsDisk, SnapshotWriter, StorageError};
use oxherd_tree::{LoadProgress, Tree};
use oxherd_zab::LinkId;
use tracing::info;

use super::peer_link::{PeerLink, SNAPSHOT_END};
use super::snapshot_file::FileWriting;
use super::{Peers, address};
use crate::tree_load::TreeLoad;

/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;

/// A tree that came over a link, not in use yet.
#[derive(Debug)]
pub(crate) struct Installed {
    pub(crate) tree: Tree,
    pub(crate) sessions: Vec<(SessionId, i32)>,
    /// What came, in a file that has neither seal nor name yet.
    pub(crate) file: Result<SnapshotWriter<OsDisk>, StorageError>,
}

impl Peers {
    /// Takes the body and the mark; what came behind it is given back. A body that is no good, or does not go on,
    /// is said to whoever waits for it, and ends the link.
    // Java: Learner.connectToLeader, whose socket waits as long for each read
    pub(super) fn take_snapshot(&self, link: &PeerLink, zxid: Zxid, begun: BytesMut) -> io::Result<BytesMut> {
        let start = address::now();
        let mut stream = Stream { link, bytes: begun, total: 0 };
        link.socket.set_read_timeout(Some(self.settings.tree_silence))?;
        let taken = self.load(&mut stream, zxid);
        link.socket.set_read_timeout(None)?;
        let (result, outcome) = match taken {
            Ok(installed) => (Ok(installed), Ok(())),
            Err(error) => (Err(error.to_string()), Err(error)),
        };
        if result.is_ok() {
            info!(
                bytes = stream.total,
                took_ms = start.elapsed().as_millis(),
                "the leader has sent its tree"
            );
        }
        self.installs.lock().insert(link.id, result);
        self.install_signal.notify_all();
        outcome.map(|()| stream.bytes)
    }

    /// Reads the tree into memory and into a file at the same time.
    fn load(&self, stream: &mut Stream<'_>, zxid: Zxid) -> io::Result<Installed> {
        let writing = FileWriting::begin(&self.settings.snapshots, zxid, stream.link.id)?;
        let read = self.read_body(stream, &writing);
        let file = writing.end();
        let (tree, sessions) = read?;
        Ok(Installed { tree, sessions, file })
    }

    fn read_body(
        &self,
        stream: &mut Stream<'_>,
        writing: &FileWriting,
    ) -> io::Result<(Tree, Vec<(SessionId, i32)>)> {
        let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
        let begun = TreeLoad::begin(self.settings.tree, 0);
        let mut load = begun.map_err(|error| io::Error::other(error.to_string()))?;
        loop {
            let piece = stream.take()?.freeze();
            match load.push(&piece).map_err(|error| invalid(error.to_string()))? {
                LoadProgress::More => writing.push(piece),
                LoadProgress::Done { consumed } => {
                    stream.put_back(&piece[consumed..]);
                    writing.push(piece.slice(..consumed));
                    break;
                }
            }
        }
        let mut mark = 10_i32.to_be_bytes().to_vec();
        mark.extend_from_slice(SNAPSHOT_END.as_bytes());
        if stream.take_exactly(mark.len())? != mark[..] {
            return Err(invalid("the tree does not end with its mark".to_owned()));
        }
        load.finish().map_err(|error| invalid(error.to_string()))
    }

    /// Waits for the tree that comes over this link; why there is none.
    pub(crate) fn wait_for_install(&self, link: LinkId) -> Result<Installed, String> {
        let mut installs = self.installs.lock();
        loop {
            if let Some(result) = installs.remove(&link) {
                return result;
            }
            if self.is_over() || !self.links.lock().contains_key(&link) {
                return Err("the link to the leader has ended".to_owned());
            }
            self.install_signal.wait(&mut installs);
        }
    }

    /// The link has ended: nothing comes over it any more.
    pub(super) fn forget_install(&self, link: LinkId) {
        let mut installs = self.installs.lock();
        installs.remove(&link);
        drop(installs);
        self.install_signal.notify_all();
    }
}

struct Stream<'a> {
    link: &'a PeerLink,
    bytes: BytesMut,
    total: usize,
}

impl Stream<'_> {
    /// What is here, or else what comes next.
    fn take(&mut self) -> io::Result<BytesMut> {
        if self.bytes.is_empty() {
            self.read()?;
        }
        Ok(self.bytes.split())
    }

    fn put_back(&mut self, bytes: &[u8]) {
        let later = self.bytes.split();
        self.bytes.extend_from_slice(bytes);
        self.bytes.extend_from_slice(&later);
    }

    fn take_exactly(&mut self, count: usize) -> io::Result<BytesMut> {
        while self.bytes.len() < count {
            self.read()?;
        }
        Ok(self.bytes.split_to(count))
    }

    fn read(&mut self) -> io::Result<()> {
        let at = self.bytes.len();
        self.bytes.resize(at + READ_BYTES, 0);
        let count = (&self.link.socket).read(&mut self.bytes[at..]);
        self.bytes.truncate(at + count.as_ref().copied().unwrap_or(0));
        self.total += count.as_ref().copied().unwrap_or(0);
        match count {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;

    use oxherd_proto::ServerId;
    use oxherd_zab::LinkKind;

    use super::*;
    use crate::peers::tests::peers;

    #[test]
    fn a_leader_that_falls_silent_within_its_tree_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let leader = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        let (peers, link) = (
            peers("server.1=a:1:2\nserver.2=b:1:2").0,
            PeerLink::new(LinkId(7), LinkKind::Leader(ServerId(2)), socket),
        );
        peers.links.lock().insert(
            LinkId(7),
            Arc::new(PeerLink::new(LinkId(7), LinkKind::Leader(ServerId(2)), leader.try_clone().unwrap())),
        );
        assert!(peers.take_snapshot(&link, Zxid(5), BytesMut::from(&b"\0\0"[..])).is_err());
        assert!(peers.wait_for_install(LinkId(7)).is_err(), "the log thread goes on");
    }
}
