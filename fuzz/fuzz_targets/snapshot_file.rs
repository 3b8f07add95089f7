//! A snapshot file in each packing, the tree in it included.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use oxherd_storage::*;
use oxherd_tree::{LoadProgress, Loader, TreeOptions};

struct Body(Loader);

impl SnapshotBody for Body {
    fn push(&mut self, bytes: &[u8]) -> Result<BodyProgress, Box<dyn std::error::Error + Send + Sync>> {
        Ok(match self.0.push(bytes)? {
            LoadProgress::More => BodyProgress::More,
            LoadProgress::Done { consumed } => BodyProgress::Done { consumed },
        })
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((packing, rest)) = data.split_first() else { return };
    let dir = Path::new("/data");
    let disk = SimDisk::new();
    disk.create_dir_all(dir).expect("a directory");
    let (name, head): (_, &[u8]) = match packing % 3 {
        0 => ("snapshot.1", b"ZKSN\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff"),
        1 => ("snapshot.1.gz", b""),
        _ => ("snapshot.1.snappy", b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01"),
    };
    disk.write_file(&dir.join(name), &[head, rest].concat()).expect("a file");
    for file in snapshots(&disk, dir).expect("it is listed") {
        let mut body = Body(Loader::new(TreeOptions::default()));
        drop(load_snapshot(&disk, &file, &mut body));
    }
});
