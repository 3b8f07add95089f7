use super::*;

const DIR: &str = "d";

fn disk() -> (SimDisk, PathBuf) {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new(DIR)).unwrap();
    (disk, Path::new(DIR).join("f"))
}

#[test]
fn only_what_was_synced_with_its_entry_is_sure_to_survive() {
    let (disk, path) = disk();
    let mut file = disk.create(&path).unwrap();
    file.write_at(b"sure", 0).unwrap();
    file.sync().unwrap();
    assert_eq!(disk.restart(CrashOutcome::Nothing).contents(&path), None, "the entry is not synced");
    disk.sync_dir(Path::new(DIR)).unwrap();
    file.write_at(b"perhaps", 4).unwrap();
    let after = |outcome| disk.restart(outcome).contents(&path).unwrap();
    assert_eq!(after(CrashOutcome::Nothing), b"sure");
    assert_eq!(after(CrashOutcome::Everything), b"sureperhaps");
    let mut lengths: Vec<usize> = (0..100).map(|seed| after(CrashOutcome::Prefix(seed)).len()).collect();
    lengths.sort_unstable();
    lengths.dedup();
    assert_eq!(lengths, (4..=11).collect::<Vec<_>>(), "every prefix occurs");
}

#[test]
fn sectors_survive_one_by_one() {
    let (disk, path) = disk();
    let mut file = disk.create(&path).unwrap();
    disk.sync_dir(Path::new(DIR)).unwrap();
    file.write_at(&[1; 1024], 0).unwrap();
    let images: std::collections::BTreeSet<Vec<u8>> =
        (0..100).filter_map(|seed| disk.restart(CrashOutcome::Sectors(seed)).contents(&path)).collect();
    assert!(images.contains(&[[0; 512], [1; 512]].concat()), "the second without the first");
    assert!(images.contains(&vec![1; 512]), "the first without the second");
    assert!(images.contains(&Vec::new()) && images.contains(&vec![0; 1024]) && images.contains(&vec![1; 1024]));
}

#[test]
fn a_rename_is_lost_until_the_directory_is_synced() {
    let (disk, path) = disk();
    let old = Path::new(DIR).join("old");
    disk.put(&path, b"old".to_vec());
    let mut file = disk.create(&old).unwrap();
    file.write_at(b"new", 0).unwrap();
    file.sync().unwrap();
    disk.rename(&old, &path).unwrap();
    assert_eq!(disk.restart(CrashOutcome::Nothing).contents(&path).unwrap(), b"old");
    disk.sync_dir(Path::new(DIR)).unwrap();
    assert_eq!(disk.restart(CrashOutcome::Nothing).contents(&path).unwrap(), b"new");
}

#[test]
fn a_crash_at_a_call_leaves_its_effect_open_and_stops_everything_after() {
    let (disk, path) = disk();
    let mut file = disk.create(&path).unwrap();
    disk.sync_dir(Path::new(DIR)).unwrap();
    disk.crash_at(disk.calls() + 1);
    file.write_at(b"x", 0).unwrap_err();
    assert!(disk.is_crashed());
    file.sync().unwrap_err();
    assert_eq!(disk.restart(CrashOutcome::Nothing).contents(&path).unwrap(), b"");
    assert_eq!(disk.restart(CrashOutcome::Everything).contents(&path).unwrap(), b"x");
}

#[test]
fn a_failed_sync_is_not_made_good_by_the_next() {
    let (disk, path) = disk();
    let mut file = disk.create(&path).unwrap();
    disk.sync_dir(Path::new(DIR)).unwrap();
    file.write_at(b"x", 0).unwrap();
    disk.fail(Call::Sync, 0);
    file.sync().unwrap_err();
    file.sync().unwrap();
    assert_eq!(disk.contents(&path).unwrap(), b"x");
    assert_eq!(disk.restart(CrashOutcome::Everything).contents(&path).unwrap(), b"");
}

#[test]
fn a_full_disk_takes_what_fits_and_gives_space_back() {
    let (disk, path) = disk();
    let mut file = disk.create(&path).unwrap();
    disk.set_capacity(Some(10));
    file.allocate(8).unwrap();
    assert_eq!(file.allocate(11).unwrap_err().kind(), io::ErrorKind::StorageFull);
    let error = file.write_at(&[1; 12], 0).unwrap_err();
    assert_eq!((error.kind(), file.len().unwrap()), (io::ErrorKind::StorageFull, 10));
    file.set_len(4).unwrap();
    assert_eq!(disk.free_bytes(Path::new(DIR)).unwrap(), 6);
    disk.remove(&path).unwrap();
    assert_eq!(disk.free_bytes(Path::new(DIR)).unwrap(), 10);
}
