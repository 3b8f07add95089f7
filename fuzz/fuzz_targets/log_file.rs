//! A file of the log, read as a start and as a repair read it.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use oxherd_proto::Zxid;
use oxherd_storage::*;

struct Nothing;

impl SnapshotBody for Nothing {
    fn push(&mut self, _: &[u8]) -> Result<BodyProgress, Box<dyn std::error::Error + Send + Sync>> {
        Err("there are no snapshots".into())
    }
}

fuzz_target!(|data: &[u8]| {
    let layout = Layout::new(Path::new("/data"), None);
    let disk = SimDisk::new();
    layout.open(&disk, true).expect("a directory");
    let mut bytes = b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0".to_vec();
    bytes.extend_from_slice(data);
    disk.write_file(&layout.log_dir.join("log.1"), &bytes).expect("a file");
    let mut last = Zxid::ZERO;
    let mut take = |record: LogRecord| {
        assert!(record.zxid > last, "in order");
        last = record.zxid;
        Ok(())
    };
    drop(scan(&disk, &layout.log_dir, Zxid(1), &mut take, &mut |_| {}));
    drop(Survey::of(&disk, Path::new("/data"), layout, &mut |_| Box::new(Nothing)).expect("damage is no error"));
});
