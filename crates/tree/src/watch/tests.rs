use super::*;
use crate::open_acl;

fn change(kind: ChangeKind, path: &str) -> Change {
    Change { kind, path: path.into(), zxid: Zxid(7), data_len: 0, acl: open_acl(), parent_acl: open_acl() }
}

fn events(watches: &mut Watches, kind: ChangeKind, path: &str) -> Vec<(u32, i32, String)> {
    let mut seen = Vec::new();
    watches.trigger(&change(kind, path), &mut |client, event| {
        seen.push((client.0, event.kind.code(), String::from_utf8(event.path.to_vec()).unwrap()));
    });
    seen
}

fn row(client: u32, kind: i32, path: &str) -> (u32, i32, String) {
    (client, kind, path.to_owned())
}

const ME: ClientId = ClientId(1);
const YOU: ClientId = ClientId(2);

#[test]
fn a_one_shot_watch_fires_once() {
    let mut watches = Watches::default();
    watches.add(b"/a", ME, WatchMode::Data);
    watches.add(b"/a", ME, WatchMode::Data);
    assert_eq!(watches.count(), 1, "the same watch twice is one");
    assert_eq!(events(&mut watches, ChangeKind::DataChanged, "/a"), [row(1, 3, "/a")]);
    assert_eq!(events(&mut watches, ChangeKind::DataChanged, "/a"), []);
    assert_eq!(watches.count(), 0);
}

#[test]
fn the_end_of_a_node_is_told_once() {
    let mut watches = Watches::default();
    watches.add(b"/p/a", ME, WatchMode::Data);
    watches.add(b"/p/a", ME, WatchMode::Child);
    watches.add(b"/p/a", YOU, WatchMode::Child);
    watches.add(b"/p", YOU, WatchMode::Child);
    watches.add(b"/p", ME, WatchMode::Data);
    assert_eq!(
        events(&mut watches, ChangeKind::Deleted, "/p/a"),
        [row(1, 2, "/p/a"), row(2, 2, "/p/a"), row(2, 4, "/p")]
    );
    assert_eq!((watches.count(), watches.data_count()), (1, 1), "the suppressed child watch is used up");
}

#[test]
fn persistent_and_recursive_watches_stay() {
    let mut watches = Watches::default();
    watches.add(b"/", ME, WatchMode::PersistentRecursive);
    watches.add(b"/a", ME, WatchMode::Data);
    watches.add(b"/a", YOU, WatchMode::Persistent);
    for _ in 0..2 {
        assert_eq!(events(&mut watches, ChangeKind::DataChanged, "/a"), [row(1, 3, "/a"), row(2, 3, "/a")]);
        assert_eq!(events(&mut watches, ChangeKind::Created, "/a/b"), [row(1, 1, "/a/b"), row(2, 4, "/a")]);
    }
    assert_eq!((watches.count(), watches.data_count()), (3, 2));
    assert_eq!(events(&mut watches, ChangeKind::DataChanged, "/"), [row(1, 3, "/")]);
}

#[test]
fn a_watch_is_removed_by_its_kind_only() {
    let mut watches = Watches::default();
    for mode in [WatchMode::Data, WatchMode::Child, WatchMode::Persistent, WatchMode::PersistentRecursive] {
        watches.add(b"/a", ME, mode);
    }
    assert!(watches.contains(b"/a", ME, WatcherKind::Any));
    assert!(!watches.contains(b"/a", YOU, WatcherKind::Any));
    for kind in [WatcherKind::Children, WatcherKind::Data, WatcherKind::Persistent] {
        assert!(watches.remove(b"/a", ME, kind), "{kind:?}");
        assert!(!watches.remove(b"/a", ME, kind), "{kind:?} again");
    }
    assert!(watches.remove(b"/a", ME, WatcherKind::Any));
    assert_eq!(watches.count(), 0);
    assert!(!watches.remove(b"/a", ME, WatcherKind::Any));
}

#[test]
fn a_client_takes_its_watches_along() {
    let mut watches = Watches::default();
    for round in 0..3 {
        for at in 0..100 {
            watches.add(format!("/n{at}").as_bytes(), ME, WatchMode::Data);
            watches.add(format!("/n{at}").as_bytes(), YOU, WatchMode::Child);
        }
        for at in 0..90 {
            let told = events(&mut watches, ChangeKind::DataChanged, &format!("/n{at}"));
            assert_eq!(told.len(), 1, "round {round}");
        }
        assert_eq!(watches.summary(), WatchSummary { clients: 1, paths: 10, watches: 10 });
    }
    watches.remove_client(ME);
    assert_eq!((watches.count(), watches.data_count()), (100, 0));
    watches.remove_client(YOU);
    assert!(watches.clients.is_empty() && watches.index.is_empty());
}

#[test]
fn a_returning_client_hears_what_it_missed() {
    let (mut watches, tree) = (Watches::default(), Tree::new(crate::TreeOptions::default()));
    let request = SetWatches2 {
        relative_zxid: Zxid(-1),
        data_watches: vec!["/gone".into(), "/zookeeper".into()],
        exist_watches: vec!["/zookeeper".into(), "/later".into()],
        child_watches: vec!["/".into(), "/gone".into()],
        persistent_watches: vec!["/".into()],
        persistent_recursive_watches: vec!["/".into()],
    };
    let mut told = Vec::new();
    watches.rearm(&tree, ME, &request, &mut |kind, path| told.push((kind.code(), path.to_vec())));
    let row = |kind, path: &str| (kind, path.as_bytes().to_vec());
    let missed = [row(2, "/gone"), row(3, "/zookeeper"), row(1, "/zookeeper"), row(4, "/"), row(2, "/gone")];
    assert_eq!(told, missed);
    assert!(watches.contains(b"/later", ME, WatcherKind::Data));
    let request = SetWatches2 { relative_zxid: Zxid(0), ..request };
    watches.rearm(&tree, ME, &request, &mut |_, _| {});
    assert!(watches.contains(b"/zookeeper", ME, WatcherKind::Data), "nothing since: armed");
    assert!(watches.contains(b"/", ME, WatcherKind::Children));
}

/// Bytes of a hash table with `capacity` buckets' worth of items, by its documented load of 7/8.
fn table_bytes(capacity: usize, item: usize) -> usize {
    (capacity * 8 / 7).next_power_of_two() * (item + 1)
}

/// Paths and clients are interned: a path's text and a client's row are not counted, all else is.
#[test]
fn a_watch_costs_at_most_40_bytes() {
    let count = 10_000;
    let mut watches = Watches::default();
    for at in 0..count {
        watches.add(format!("/some/path/{at}").as_bytes(), ME, WatchMode::Data);
    }
    let reverse = watches.clients[&ME].paths.capacity() * size_of::<PathId>();
    let bytes = watches.entries.capacity() * size_of::<PathEntry>()
        + table_bytes(watches.index.capacity(), size_of::<PathId>())
        + reverse;
    assert!(bytes <= 40 * count, "many paths: {} bytes a watch", bytes / count);

    let mut watches = Watches::default();
    for at in 0..count {
        watches.add(b"/one", ClientId(u32::try_from(at).unwrap()), WatchMode::Data);
    }
    // A leaf of a BTreeMap has 11 places and is at least half full; inner nodes add a tenth.
    let leaf = 11 * (size_of::<ClientId>() + size_of::<u8>()) + 16 + 16;
    let set = watches.many[0].len() / 5 * leaf * 11 / 10;
    let reverse: usize = watches.clients.values().map(|row| row.paths.capacity() * size_of::<PathId>()).sum();
    assert!(set + reverse <= 40 * count, "many clients: {} bytes a watch", (set + reverse) / count);
}
