//! The watches a session holds, so that it can set them again on another server.

use std::collections::BTreeSet;

use oxherd_proto::{ErrorCode, Jute, OpCode, SetWatches, SetWatches2, Str, Zxid};

use crate::{EventType, WatchKind, WatcherType};

/// Most bytes of paths in one request that sets watches again; the last path may exceed it.
// Java: ClientCnxn.SET_WATCHES_MAX_LENGTH
pub(crate) const SET_WATCHES_LEN_MAX: usize = 128 * 1024;

/// Watches by table. Paths are the server's.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    data: BTreeSet<Str>,
    exist: BTreeSet<Str>,
    child: BTreeSet<Str>,
    persistent: BTreeSet<Str>,
    recursive: BTreeSet<Str>,
}

impl Watches {
    /// Notes a watch after the reply `code`; a failed read sets none, except a look at a missing node.
    // Java: ZooKeeper.WatchRegistration.register
    pub(crate) fn register(&mut self, kind: WatchKind, path: Str, code: ErrorCode) {
        let table = match (kind, code) {
            (WatchKind::Exists, ErrorCode::NoNode) => &mut self.exist,
            (_, code) if code != ErrorCode::Ok => return,
            (WatchKind::Data | WatchKind::Exists, _) => &mut self.data,
            (WatchKind::Child, _) => &mut self.child,
            (WatchKind::Persistent, _) => &mut self.persistent,
            (WatchKind::PersistentRecursive, _) => &mut self.recursive,
        };
        table.insert(path);
    }

    /// Consumes the one-shot watches an event fires; whether anybody waited for it.
    // Java: ZKWatchManager.materialize
    pub(crate) fn fire(&mut self, kind: EventType, path: &[u8]) -> bool {
        let one_shot = match kind {
            EventType::NodeCreated | EventType::NodeDataChanged => {
                self.data.remove(path) | self.exist.remove(path)
            }
            EventType::NodeChildrenChanged => self.child.remove(path),
            EventType::NodeDeleted => {
                self.data.remove(path) | self.exist.remove(path) | self.child.remove(path)
            }
            _ => false,
        };
        let recursive = kind != EventType::NodeChildrenChanged && self.has_recursive_above(path);
        one_shot || recursive || self.persistent.contains(path)
    }

    fn has_recursive_above(&self, path: &[u8]) -> bool {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let mut above = slashes.map(|at| if at == 0 { &path[..1] } else { &path[..at] });
        self.recursive.contains(path) || above.any(|ancestor| self.recursive.contains(ancestor))
    }

    /// Whether a removal would find something.
    pub(crate) fn contains(&self, kind: WatcherType, path: &[u8]) -> bool {
        let data = self.data.contains(path) || self.exist.contains(path);
        match kind {
            WatcherType::Children => self.child.contains(path),
            WatcherType::Data => data,
            WatcherType::Persistent => self.persistent.contains(path),
            WatcherType::PersistentRecursive => self.recursive.contains(path),
            WatcherType::Any => {
                data || self.child.contains(path)
                    || self.persistent.contains(path)
                    || self.recursive.contains(path)
            }
        }
    }

    /// Forgets watches; the events that tell it.
    // Java: ZKWatchManager.removeWatcher
    pub(crate) fn remove(&mut self, kind: WatcherType, path: &[u8]) -> Vec<EventType> {
        let any = kind == WatcherType::Any;
        let mut events = Vec::new();
        if (any || kind == WatcherType::Children) && self.child.remove(path) {
            events.push(EventType::ChildWatchRemoved);
        }
        if (any || kind == WatcherType::Data) && (self.data.remove(path) | self.exist.remove(path)) {
            events.push(EventType::DataWatchRemoved);
        }
        let persistent = (any || kind == WatcherType::Persistent) && self.persistent.remove(path);
        let recursive = (any || kind == WatcherType::PersistentRecursive) && self.recursive.remove(path);
        if persistent || recursive {
            events.push(EventType::PersistentWatchRemoved);
        }
        events
    }

    /// Requests that set every watch again, in pieces of bounded size.
    // Java: ClientCnxn.SendThread.primeConnection
    pub(crate) fn set_again(&self, relative_zxid: Zxid) -> Vec<(OpCode, Vec<u8>)> {
        let tables = [&self.data, &self.exist, &self.child, &self.persistent, &self.recursive];
        let mut paths =
            tables.into_iter().enumerate().flat_map(|(table, set)| set.iter().map(move |path| (table, path)));
        let mut requests = Vec::new();
        while let Some(first) = paths.next() {
            let mut batch: [Vec<Str>; 5] = Default::default();
            let mut len = 0;
            let mut next = Some(first);
            while let Some((table, path)) = next {
                len += path.len();
                batch[table].push(path.clone());
                next = if len < SET_WATCHES_LEN_MAX { paths.next() } else { None };
            }
            requests.push(encode_batch(relative_zxid, batch));
        }
        requests
    }
}

/// The older form serves older servers as long as nothing in the batch needs the newer one.
fn encode_batch(relative_zxid: Zxid, batch: [Vec<Str>; 5]) -> (OpCode, Vec<u8>) {
    let [data_watches, exist_watches, child_watches, persistent_watches, persistent_recursive_watches] =
        batch;
    if persistent_watches.is_empty() && persistent_recursive_watches.is_empty() {
        let record = SetWatches { relative_zxid, data_watches, exist_watches, child_watches };
        return (OpCode::SetWatches, record.to_vec());
    }
    let record = SetWatches2 {
        relative_zxid,
        data_watches,
        exist_watches,
        child_watches,
        persistent_watches,
        persistent_recursive_watches,
    };
    (OpCode::SetWatches2, record.to_vec())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn watches(list: &[(WatchKind, &str)]) -> Watches {
        let mut watches = Watches::default();
        for (kind, path) in list {
            watches.register(*kind, Str::from(*path), ErrorCode::Ok);
        }
        watches
    }

    #[test]
    fn one_shot_watches_fire_once_and_persistent_ones_stay() {
        let mut watches = watches(&[
            (WatchKind::Data, "/a"),
            (WatchKind::Persistent, "/p"),
            (WatchKind::PersistentRecursive, "/r"),
        ]);
        assert!(watches.fire(EventType::NodeDataChanged, b"/a"));
        assert!(!watches.fire(EventType::NodeDataChanged, b"/a"));
        for _ in 0..2 {
            assert!(watches.fire(EventType::NodeChildrenChanged, b"/p"));
            assert!(watches.fire(EventType::NodeCreated, b"/r/x/y"));
            assert!(!watches.fire(EventType::NodeChildrenChanged, b"/r"));
            assert!(!watches.fire(EventType::NodeCreated, b"/rest"));
        }
    }

    #[test]
    fn a_look_at_a_missing_node_waits_for_its_creation() {
        let mut watches = Watches::default();
        watches.register(WatchKind::Exists, Str::from("/no"), ErrorCode::NoNode);
        watches.register(WatchKind::Data, Str::from("/no"), ErrorCode::NoAuth);
        assert!(watches.fire(EventType::NodeCreated, b"/no"));
        assert!(!watches.fire(EventType::NodeCreated, b"/no"));
    }

    #[test]
    fn watches_are_set_again_in_pieces_of_128_kib() {
        let mut watches = watches(&[(WatchKind::PersistentRecursive, "/z")]);
        for n in 0..2000 {
            let path = format!("/{n:0>150}");
            watches.register(WatchKind::Data, Str::from(path), ErrorCode::Ok);
        }
        let requests = watches.set_again(Zxid(7));
        let ops: Vec<_> = requests.iter().map(|(op, _)| *op).collect();
        assert_eq!(ops, [OpCode::SetWatches, OpCode::SetWatches, OpCode::SetWatches2]);
        let mut total = 0;
        for (op, body) in requests {
            assert!(body.len() < SET_WATCHES_LEN_MAX + 8192);
            if op == OpCode::SetWatches {
                let record = SetWatches::from_bytes(Bytes::from(body)).expect("valid");
                assert_eq!(record.relative_zxid, Zxid(7));
                total += record.data_watches.len();
            } else {
                let record = SetWatches2::from_bytes(Bytes::from(body)).expect("valid");
                assert_eq!(record.persistent_recursive_watches, [Str::from("/z")]);
                total += record.data_watches.len();
            }
        }
        assert_eq!(total, 2000);
    }

    #[test]
    fn removing_any_watch_tells_each_table_it_found() {
        let mut watches =
            watches(&[(WatchKind::Data, "/a"), (WatchKind::Child, "/a"), (WatchKind::Persistent, "/a")]);
        assert!(watches.contains(WatcherType::Any, b"/a"));
        let events = watches.remove(WatcherType::Any, b"/a");
        let expected =
            [EventType::ChildWatchRemoved, EventType::DataWatchRemoved, EventType::PersistentWatchRemoved];
        assert_eq!(events, expected);
        assert!(!watches.contains(WatcherType::Any, b"/a"));
    }
}
