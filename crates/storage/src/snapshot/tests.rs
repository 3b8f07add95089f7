use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use oxherd_proto::{CreateTxn, Epoch, SessionId, Str, TxnHeader, TxnRecord, Xid};
use oxherd_tree::{LoadProgress, Loader, Tree, TreeOptions, WalkState};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::os_disk::OsDisk;
use crate::purge::purge;

const METHODS: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Snappy];
const ZXID: Zxid = Zxid(0x1_0000_0005);
const LAST: Zxid = Zxid(0x1_0000_0006);
const FULL: Seal = Seal { digest: Some((ZXID, 0x51c6_d660)), last_zxid: Some(LAST) };

/// A body of known length.
struct Counted {
    left: usize,
    bytes: Vec<u8>,
    /// The progress it heard of.
    heard: Vec<u64>,
}

impl Counted {
    fn new(len: usize) -> Self {
        Self { left: len, bytes: Vec::new(), heard: Vec::new() }
    }
}

impl SnapshotBody for Counted {
    fn push(&mut self, bytes: &[u8]) -> Result<BodyProgress, Box<dyn Error + Send + Sync>> {
        assert!(!bytes.is_empty(), "nothing was pushed");
        let count = bytes.len().min(self.left);
        self.bytes.extend_from_slice(&bytes[..count]);
        self.left -= count;
        Ok(if self.left == 0 { BodyProgress::Done { consumed: count } } else { BodyProgress::More })
    }

    fn progress(&mut self, done: u64) {
        self.heard.push(done);
    }
}

/// A real tree's.
struct TreeBody(Loader);

impl SnapshotBody for TreeBody {
    fn push(&mut self, bytes: &[u8]) -> Result<BodyProgress, Box<dyn Error + Send + Sync>> {
        Ok(match self.0.push(bytes)? {
            LoadProgress::More => BodyProgress::More,
            LoadProgress::Done { consumed } => BodyProgress::Done { consumed },
        })
    }
}

fn dir() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn write(dir: &TempDir, compression: Compression, body: &[u8], seal: &Seal) -> SnapshotFile {
    let mut writer = SnapshotWriter::begin(OsDisk, dir.path(), ZXID, compression).expect("begun");
    for piece in body.chunks(100_000) {
        writer.write(piece).expect("written");
    }
    let path = writer.finish(seal).expect("finished");
    let file = newest(dir);
    assert_eq!((&file.path, file.zxid, file.compression), (&path, ZXID, compression));
    file
}

fn newest(dir: &TempDir) -> SnapshotFile {
    snapshots(&OsDisk, dir.path()).expect("listed").into_iter().next().expect("there is one")
}

fn names(dir: &TempDir) -> Vec<String> {
    OsDisk.list(dir.path()).expect("listed")
}

fn load(file: &SnapshotFile, body_len: usize) -> Result<(Seal, Vec<u8>), StorageError> {
    let mut body = Counted::new(body_len);
    let seal = load_snapshot(&OsDisk, file, &mut body)?;
    Ok((seal, body.bytes))
}

/// One session, no ACLs, the root, the end.
fn small_body() -> Vec<u8> {
    let mut body = vec![0, 0, 0, 1];
    body.extend(0x0100_0000_0000_0001_i64.to_be_bytes());
    body.extend(30_000_i32.to_be_bytes());
    body.extend([0; 4]);
    body.extend([0; 8]);
    body.extend((-1_i64).to_be_bytes());
    body.extend([0; 36]);
    body.extend((-1_i32).to_be_bytes());
    body.extend([0; 20]);
    body.extend([0, 0, 0, 1, b'/']);
    body
}

fn tree_with(nodes: i32, data: &[u8]) -> Tree {
    let mut tree = Tree::new(TreeOptions::default());
    for number in 1..=nodes {
        let zxid = Zxid::new(Epoch(1), number.unsigned_abs());
        let header =
            TxnHeader { client_id: SessionId(1), cxid: Xid(number), zxid, time: 1_700_000_000_000, kind: 1 };
        let create = CreateTxn {
            path: Str::from(format!("/n{number:07}").as_str()),
            data: Some(Bytes::copy_from_slice(data)),
            acl: oxherd_tree::open_acl().to_vec(),
            ephemeral: false,
            parent_c_version: number,
        };
        tree.apply(&header, &TxnRecord::Create(create), &mut Vec::new());
    }
    tree
}

fn body_of(tree: &mut Tree) -> Vec<u8> {
    let walk = tree.begin_walk(vec![(SessionId(7), 30_000)]);
    let mut body = Vec::new();
    while tree.walk_slice(walk, &mut body, 1 << 16) == WalkState::More {}
    tree.end_walk(walk);
    body
}

#[test]
fn bytes_are_those_of_the_original() {
    let dir = dir();
    let file = write(&dir, Compression::None, &small_body(), &FULL);
    assert_eq!(names(&dir), ["snapshot.100000005"]);
    let mut expected = b"ZKSN\0\0\0\x02".to_vec();
    expected.extend([0xff; 8]);
    expected.extend(small_body());
    expected.extend([0, 0, 0, 0, 0xae, 0x19, 0x16, 0x0d, 0, 0, 0, 1, b'/']);
    expected.extend([0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 2, 0, 0, 0, 0, 0x51, 0xc6, 0xd6, 0x60]);
    expected.extend([0, 0, 0, 0, 0xaa, 0x00, 0x19, 0x7c, 0, 0, 0, 1, b'/']);
    expected.extend([0, 0, 0, 1, 0, 0, 0, 6]);
    expected.extend([0, 0, 0, 0, 0xd6, 0x8f, 0x1a, 0xf2, 0, 0, 0, 1, b'/']);
    assert_eq!(fs::read(&file.path).expect("read"), expected);
    assert_eq!(file.len, expected.len() as u64);
}

#[test]
fn packed_files_begin_as_the_original_ones() {
    let dir = dir();
    let gzip = write(&dir, Compression::Gzip, &small_body(), &FULL);
    assert_eq!(fs::read(&gzip.path).expect("read")[..4], [0x1f, 0x8b, 8, 0]);
    fs::remove_file(&gzip.path).expect("removed");
    let snappy = write(&dir, Compression::Snappy, &small_body(), &FULL);
    let bytes = fs::read(&snappy.path).expect("read");
    assert_eq!(bytes[..16], *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01");
    let block = usize::from(u16::from_be_bytes([bytes[18], bytes[19]]));
    assert_eq!(bytes.len(), 16 + 4 + block, "one block");
}

#[test]
fn all_seals_come_back_in_every_packing() {
    let digest_only = Seal { last_zxid: None, ..FULL };
    let last_only = Seal { digest: None, ..FULL };
    for compression in METHODS {
        for seal in [FULL, digest_only, last_only, Seal::default()] {
            let dir = dir();
            let file = write(&dir, compression, &small_body(), &seal);
            assert!(looks_whole(&OsDisk, &file).expect("looked"), "{compression:?}");
            let (found, body) = load(&file, small_body().len()).expect("whole");
            assert_eq!((found, body), (seal, small_body()), "{compression:?}");
        }
    }
}

#[test]
fn empty_digest_and_foreign_digest_are_passed_over() {
    let dir = dir();
    let empty =
        write(&dir, Compression::None, &small_body(), &Seal { digest: Some((Zxid::ZERO, 0)), ..FULL });
    assert_eq!(load(&empty, small_body().len()).expect("whole").0, Seal { digest: None, ..FULL });
    let mut bytes =
        fs::read(&write(&dir, Compression::None, &small_body(), &Seal::default()).path).expect("read");
    bytes.extend(ZXID.0.to_be_bytes());
    bytes.extend(1_i32.to_be_bytes());
    bytes.extend(8_i32.to_be_bytes());
    bytes.extend(b"1c6d6609");
    let sum = i64::from(simd_adler32::adler32(&bytes.as_slice()));
    bytes.extend(sum.to_be_bytes());
    bytes.extend(SEAL_END);
    fs::write(&empty.path, &bytes).expect("written");
    assert_eq!(load(&newest(&dir), small_body().len()).expect("whole").0, Seal::default());
}

#[test]
fn every_changed_byte_is_found() {
    let dir = dir();
    let file = write(&dir, Compression::None, &small_body(), &FULL);
    let whole = fs::read(&file.path).expect("read");
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&file.path, &bytes).expect("written");
        let error = load(&file, small_body().len()).expect_err("damaged");
        assert!(matches!(error, StorageError::Damaged { .. }), "byte {at}: {error}");
    }
}

#[test]
fn changed_byte_of_a_packed_file_never_changes_the_tree() {
    for compression in [Compression::Gzip, Compression::Snappy] {
        let dir = dir();
        let file = write(&dir, compression, &small_body(), &FULL);
        let whole = fs::read(&file.path).expect("read");
        let mut refused = 0;
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(&file.path, &bytes).expect("written");
            match load(&file, small_body().len()) {
                Ok(found) => assert_eq!(found, (FULL, small_body()), "{compression:?} byte {at}"),
                Err(StorageError::Damaged { .. }) => refused += 1,
                Err(error) => panic!("{compression:?} byte {at}: {error}"),
            }
        }
        assert!(refused > whole.len() / 2, "{compression:?}: {refused} of {}", whole.len());
    }
}

#[test]
fn cut_file_is_whole_only_where_an_older_release_ends_it() {
    let dir = dir();
    let file = write(&dir, Compression::None, &small_body(), &FULL);
    let whole = fs::read(&file.path).expect("read");
    let (without_last, bare) = (whole.len() - 21, whole.len() - 21 - 33);
    for len in 0..whole.len() {
        fs::write(&file.path, &whole[..len]).expect("written");
        match load(&file, small_body().len()) {
            Ok((seal, _)) if len == without_last => assert_eq!(seal, Seal { last_zxid: None, ..FULL }),
            Ok((seal, _)) => assert_eq!((len, seal), (bare, Seal::default())),
            Err(error) => assert!(matches!(error, StorageError::Damaged { .. }), "{len} bytes: {error}"),
        }
    }
    for compression in [Compression::Gzip, Compression::Snappy] {
        let dir = self::dir();
        let file = write(&dir, compression, &small_body(), &FULL);
        let whole = fs::read(&file.path).expect("read");
        for len in 0..whole.len() {
            fs::write(&file.path, &whole[..len]).expect("written");
            let error = load(&file, small_body().len()).expect_err("cut");
            assert!(matches!(error, StorageError::Damaged { .. }), "{compression:?}, {len} bytes: {error}");
        }
    }
}

#[test]
fn bytes_after_the_end_are_damage() {
    let dir = dir();
    let file = write(&dir, Compression::None, &small_body(), &FULL);
    let whole = fs::read(&file.path).expect("read");
    for extra in [1, SEAL_LEN, 100_000] {
        fs::write(&file.path, [whole.as_slice(), &vec![0; extra]].concat()).expect("written");
        assert!(load(&file, small_body().len()).is_err(), "{extra} bytes more");
    }
}

#[test]
fn what_the_body_says_is_told_with_the_place() {
    struct Picky;
    impl SnapshotBody for Picky {
        fn push(&mut self, _: &[u8]) -> Result<BodyProgress, Box<dyn Error + Send + Sync>> {
            Err("node /a has no parent".into())
        }
    }
    let dir = dir();
    let file = write(&dir, Compression::None, &small_body(), &FULL);
    let error = load_snapshot(&OsDisk, &file, &mut Picky).expect_err("refused").to_string();
    assert!(error.contains("node /a has no parent") && error.contains("snapshot.100000005"), "{error}");
}

#[test]
fn abandoned_snapshot_leaves_nothing() {
    for compression in METHODS {
        let dir = dir();
        let mut writer = SnapshotWriter::begin(OsDisk, dir.path(), ZXID, compression).expect("begun");
        writer.write(&[7; 1 << 20]).expect("written");
        let [name] = names(&dir).try_into().expect("one file");
        assert!(!name.starts_with("snapshot"), "Java would take {name} for a snapshot");
        assert_eq!(parse_temporary_name(&name), Some(ZXID));
        assert_eq!(snapshots(&OsDisk, dir.path()).expect("listed"), []);
        drop(writer);
        assert_eq!(names(&dir), [] as [&str; 0]);
    }
}

#[test]
fn what_a_leader_sends_is_apart_from_other_snapshots_until_it_is_whole() {
    let dir = dir();
    let begin = |link| {
        let mut writer = SnapshotWriter::begin_received(OsDisk, dir.path(), ZXID, Compression::None, link);
        writer.as_mut().expect("begun").write(&[7; 100]).expect("written");
        writer.expect("begun")
    };
    let own = SnapshotWriter::begin(OsDisk, dir.path(), ZXID, Compression::None).expect("begun");
    let (given_up, whole, left) = (begin(1), begin(2), begin(3));
    assert_eq!(names(&dir).len(), 4, "none has another's file: {:?}", names(&dir));
    drop((own, given_up));
    assert_eq!(snapshots(&OsDisk, dir.path()).expect("listed"), []);
    assert_eq!(purge(&OsDisk, dir.path(), dir.path(), 3).expect("purged"), [] as [PathBuf; 0]);
    whole.finish(&FULL).expect("finished");
    assert_eq!(newest(&dir).zxid, ZXID);
    // As a server that dies leaves it.
    std::mem::forget(left);
    remove_received(&OsDisk, dir.path()).expect("removed");
    assert_eq!(names(&dir), [newest(&dir).path.file_name().unwrap().to_str().unwrap()]);
}

#[test]
fn progress_ends_with_the_length_of_the_file() {
    for compression in METHODS {
        let dir = dir();
        let body: Vec<u8> =
            (0..3_000_000_u32).map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
        let file = write(&dir, compression, &body, &FULL);
        let mut counted = Counted::new(body.len());
        load_snapshot(&OsDisk, &file, &mut counted).expect("whole");
        let seen = counted.heard;
        assert!(seen.is_sorted() && seen.len() > 2, "{compression:?}: {seen:?}");
        assert_eq!(seen.last(), Some(&file.len), "{compression:?}");
    }
}

#[test]
fn only_names_of_snapshots_count_newest_first() {
    let dir = dir();
    let others = [
        "log.100000001",
        "snapshot",
        "snapshot.",
        "snapshot.xyz",
        "snapshot.9.tmp",
        "snapshot.9.gz.tmp",
        "snapshot.9.",
        "oxherd-snapshot.9.tmp",
        "snapshot.-1",
        "currentEpoch",
    ];
    for name in
        others.iter().chain(&["snapshot.a", "snapshot.100000000.gz", "snapshot.0", "snapshot.ff.snappy"])
    {
        fs::write(dir.path().join(name), name).expect("written");
    }
    let found: Vec<(i64, u64, Compression)> = snapshots(&OsDisk, dir.path())
        .expect("listed")
        .iter()
        .map(|file| (file.zxid.0, file.len, file.compression))
        .collect();
    let [plain, gzip, snappy] = METHODS;
    assert_eq!(found, [(0x1_0000_0000, 21, gzip), (0xff, 18, snappy), (10, 10, plain), (0, 10, plain)]);
    assert_eq!(snapshots(&OsDisk, &dir.path().join("none")).expect("listed"), []);
}

#[test]
fn quick_look_sees_unfinished_files() {
    let dir = dir();
    let cases: [(&str, &[u8], bool); 9] = [
        ("snapshot.1", b"ZKSN\0\0\0\x02......\0\0\0\x01/", true),
        ("snapshot.1", b"ZKSN\0\0\0\x02......\0\0\0\x01", false),
        ("snapshot.1", b"....\0\0\0\x01/", false),
        ("snapshot.1", b"", false),
        ("snapshot.1.gz", b"\x1f\x8b", true),
        ("snapshot.1.gz", b"\x1f", false),
        ("snapshot.1.gz", b"ZKSN", false),
        ("snapshot.1.snappy", b"\x82SNAPPY\0", true),
        ("snapshot.1.snappy", b"\x82SNAPPY", false),
    ];
    for (name, bytes, expected) in cases {
        let path = dir.path().join(name);
        fs::write(&path, bytes).expect("written");
        assert_eq!(looks_whole(&OsDisk, &newest(&dir)).expect("looked"), expected, "{name} {bytes:?}");
        fs::remove_file(path).expect("removed");
    }
}

#[test]
fn methods_are_named_as_in_the_configuration() {
    assert_eq!(
        ["", "gz", "GZ", "snappy", "zip"].map(Compression::from_method),
        [
            Some(Compression::None),
            Some(Compression::Gzip),
            Some(Compression::Gzip),
            Some(Compression::Snappy),
            None
        ]
    );
}

#[test]
fn tree_comes_back_with_its_digest() {
    for compression in METHODS {
        let dir = dir();
        let mut tree = tree_with(5_000, &[b'd'; 300]);
        let seal =
            Seal { digest: Some((tree.last_zxid(), tree.digest())), last_zxid: Some(tree.last_zxid()) };
        let file = write(&dir, compression, &body_of(&mut tree), &seal);
        let mut body = TreeBody(Loader::new(TreeOptions::default()));
        assert_eq!(load_snapshot(&OsDisk, &file, &mut body).expect("whole"), seal);
        let (loaded, sessions) = body.0.finish().expect("complete");
        assert_eq!((loaded.digest(), loaded.node_count()), (tree.digest(), tree.node_count()));
        assert_eq!(sessions, [(SessionId(7), 30_000)]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_body_comes_back_however_it_is_cut(
        seed in any::<u32>(),
        lens in prop::collection::vec(0_usize..300_000, 1..4),
        method in 0_usize..3,
    ) {
        let mut state = seed | 1;
        let mut next = || { state ^= state << 13; state ^= state >> 17; state ^= state << 5; (state >> 24 & 15) as u8 };
        let dir = dir();
        let mut writer = SnapshotWriter::begin(OsDisk, dir.path(), ZXID, METHODS[method]).expect("begun");
        let mut body = vec![1];
        writer.write(&body).expect("written");
        for len in lens {
            let piece: Vec<u8> = (0..len).map(|_| next()).collect();
            writer.write(&piece).expect("written");
            body.extend(piece);
        }
        writer.finish(&FULL).expect("finished");
        let (seal, found) = load(&newest(&dir), body.len()).expect("whole");
        prop_assert_eq!(seal, FULL);
        prop_assert!(found == body);
    }
}
