use std::path::PathBuf;

use super::*;

fn disk() -> (SimDisk, PathBuf) {
    let disk = SimDisk::new();
    let dir = PathBuf::from("/data");
    disk.create_dir_all(&dir).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    (disk, dir)
}

#[test]
fn a_file_is_there_after_a_power_loss_only_with_its_bytes_and_its_name_synced() {
    let (disk, dir) = disk();
    let path = dir.join("a");
    let mut file = disk.create(&path).unwrap();
    file.write_at(b"hello", 0).unwrap();
    file.sync().unwrap();
    assert_eq!(disk.after_crash(CrashOutcome::Lost).list(&dir).unwrap(), Vec::<String>::new());
    disk.sync_dir(&dir).unwrap();
    file.write_at(b"HE", 0).unwrap();
    assert_eq!(disk.after_crash(CrashOutcome::Lost).read_file(&path).unwrap(), b"hello");
    assert_eq!(disk.after_crash(CrashOutcome::Kept).read_file(&path).unwrap(), b"HEllo");
    let again = disk.after_crash(CrashOutcome::ProcessDied);
    assert_eq!(again.read_file(&path).unwrap(), b"HEllo");
    assert_eq!(again.after_crash(CrashOutcome::Lost).read_file(&path).unwrap(), b"hello");
}

#[test]
fn seeds_reach_torn_writes_and_repeat() {
    let (disk, dir) = disk();
    let path = dir.join("a");
    let mut file = disk.create(&path).unwrap();
    disk.sync_dir(&dir).unwrap();
    file.write_at(&[7; 2048], 0).unwrap();
    let image = |seed| disk.after_crash(CrashOutcome::Seeded(seed)).read_file(&path).unwrap();
    let images: Vec<Vec<u8>> = (0..64).map(image).collect();
    assert_eq!(images, (0..64).map(image).collect::<Vec<_>>());
    assert!(images.iter().any(Vec::is_empty) && images.contains(&vec![7; 2048]));
    assert!(images.iter().any(|bytes| bytes.len() % 512 != 0), "a prefix ends anywhere");
    assert!(
        images.iter().any(|bytes| bytes.starts_with(&[0; 512]) && bytes.ends_with(&[7])),
        "sectors are apart"
    );
}

#[test]
fn a_length_may_be_there_without_the_bytes() {
    let (disk, dir) = disk();
    let path = dir.join("a");
    let mut file = disk.create(&path).unwrap();
    disk.sync_dir(&dir).unwrap();
    file.write_at(&[7; 100], 0).unwrap();
    file.sync().unwrap();
    file.write_at(&[8; 100], 100).unwrap();
    let image = |seed| disk.after_crash(CrashOutcome::Zeroed(seed)).read_file(&path).unwrap();
    let images: Vec<Vec<u8>> = (0..64).map(image).collect();
    assert!(images.iter().all(|bytes| bytes.starts_with(&[7; 100])), "what was synced is there");
    assert!(images.iter().all(|bytes| bytes.len() == 100 || bytes.len() == 200));
    assert!(images.iter().any(|bytes| bytes[100..].starts_with(&[8]) && bytes.ends_with(&[0; 9])));
}

#[test]
fn a_rename_is_there_or_not() {
    let (disk, dir) = disk();
    disk.write_file(&dir.join("epoch"), b"1").unwrap();
    disk.write_file(&dir.join("epoch.tmp"), b"2").unwrap();
    disk.rename(&dir.join("epoch.tmp"), &dir.join("epoch")).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..32 {
        let after = disk.after_crash(CrashOutcome::Seeded(seed));
        seen.insert((after.read_file(&dir.join("epoch")).unwrap(), after.list(&dir).unwrap().len()));
    }
    let wanted = [(b"1".to_vec(), 2), (b"2".to_vec(), 1)];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), wanted);
}

#[test]
fn a_dead_machine_changes_nothing_more() {
    let (disk, dir) = disk();
    disk.crash_at(disk.calls() + 2);
    let mut file = disk.create(&dir.join("a")).unwrap();
    let error = file.write_at(b"x", 0).unwrap_err();
    assert!(SimDisk::is_crash(&error) && disk.is_crashed());
    assert!(disk.list(&dir).is_err());
    let after = disk.after_crash(CrashOutcome::Kept);
    assert_eq!((after.read_file(&dir.join("a")).unwrap(), after.calls()), (Vec::new(), 0));
}

#[test]
fn a_full_disk_takes_what_was_reserved_and_what_others_give_back() {
    let (disk, dir) = disk();
    let mut file = disk.create(&dir.join("a")).unwrap();
    let mut other = disk.create(&dir.join("b")).unwrap();
    disk.limit_bytes(Some(100));
    file.allocate(80).unwrap();
    other.write_at(&[1; 20], 0).unwrap();
    assert_eq!(file.allocate(81).unwrap_err().kind(), io::ErrorKind::StorageFull);
    file.write_at(&[2; 80], 0).unwrap();
    assert_eq!(other.write_at(&[1; 2], 19).unwrap_err().kind(), io::ErrorKind::StorageFull);
    file.set_len(10).unwrap();
    assert_eq!(disk.free_bytes(&dir).unwrap(), 70);
    disk.remove(&dir.join("b")).unwrap();
    assert_eq!(disk.free_bytes(&dir).unwrap(), 90);
}

#[test]
fn what_a_failed_sync_was_to_save_is_lost_whatever_follows() {
    let (disk, dir) = disk();
    let path = dir.join("a");
    let mut file = disk.create(&path).unwrap();
    disk.sync_dir(&dir).unwrap();
    file.write_at(b"one", 0).unwrap();
    disk.fail(Fault::Sync(1));
    let error = file.sync().unwrap_err();
    assert!(!SimDisk::is_crash(&error));
    file.sync().unwrap();
    assert_eq!(disk.read_file(&path).unwrap(), b"one");
    assert_eq!(disk.after_crash(CrashOutcome::Kept).read_file(&path).unwrap(), b"");
}

#[test]
fn faults_hit_the_call_they_were_meant_for_and_bits_rot_where_told() {
    let (disk, dir) = disk();
    let path = dir.join("a");
    disk.write_file(&path, b"abc").unwrap();
    let mut file = disk.open(&path).unwrap();
    disk.fail(Fault::Read(2));
    disk.fail(Fault::Write(1));
    let mut buffer = [0; 8];
    assert_eq!(file.read_at(&mut buffer, 1).unwrap(), 2);
    assert!(file.read_at(&mut buffer, 1).is_err() && file.write_at(b"x", 0).is_err());
    assert_eq!(file.read_at(&mut buffer, 3).unwrap(), 0);
    disk.flip_bit(&path, 1, 0).unwrap();
    assert_eq!(disk.after_crash(CrashOutcome::Lost).read_file(&path).unwrap(), b"acc");
}
